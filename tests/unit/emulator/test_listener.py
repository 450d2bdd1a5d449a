import socket
import sys

import pytest

from shared.backing.ports import PortTaken, free_ports
from shared.emulator.listener import held_connections, listen


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the length of the accept queue")
def test_connections_that_wait_are_counted_without_being_accepted() -> None:
    (port,) = free_ports(1)
    with listen("tiny", port) as listener:
        assert held_connections(listener) == 0
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        assert held_connections(listener) == 3
        listener.accept()[0].close()
        assert held_connections(listener) == 2
        for client in clients:
            client.close()


def test_taken_port_names_service_and_holder() -> None:
    (port,) = free_ports(1)
    with listen("first", port), pytest.raises(PortTaken, match=f"port {port} for service second is taken by pid"):
        listen("second", port)
