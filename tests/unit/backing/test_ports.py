import os
import socket

import pytest

from shared.backing.ports import PortTaken, free_ports, holder, is_free, require_free


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_a_listener_takes_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert holder(port).startswith(f"pid {os.getpid()} (")
    assert is_free(port)


def test_a_listener_on_all_addresses_takes_it_too() -> None:
    with socket.create_server(("", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_closed_connection_does_not_take_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's side closes first: its port is left in TIME_WAIT
        client.close()
    assert is_free(port)


def test_the_refusal_names_purpose_holder_and_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} for Kafka is taken by pid {os.getpid()} .*FRAUD_KAFKA_PORT"):
            require_free(port, purpose="Kafka", setting="FRAUD_KAFKA_PORT")
    require_free(port, purpose="Kafka", setting="FRAUD_KAFKA_PORT")
