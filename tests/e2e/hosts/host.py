"""The hosts of the scorer, one class each: something that answers a request."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import urllib3

from localstack.pump import http_api
from localstack.pump.invokers import InProcess, Invoker, RuntimeInterface
from shared.backing.ports import free_ports
from tests.benchmarks.lone_replica import scorer_alone
from tests.support.servers import ROOT, FunctionProcess, Process, until

HANDLER = "functions.scorer.main.lambda_handler"
LAMBDA_TIMEOUT_SECONDS = 30.0


class Reply(NamedTuple):
    """What a caller of any host sees."""

    status: int
    content_type: str
    body: bytes


class Host(Protocol):
    """A running host."""

    def ask(self, method: str, target: str, body: bytes, content_type: str) -> Reply:
        """Answer one request."""

    def close(self) -> None:
        """End the host."""


class Address:
    """Whatever answers at an address: a cluster's ingress, a container.

    Args:
        url: Base address.
        host_header: Name by which an ingress knows the service, where the address does not say it.
    """

    def __init__(self, url: str, host_header: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._named = {} if host_header is None else {"host": host_header}
        self._http = urllib3.PoolManager(retries=False, timeout=LAMBDA_TIMEOUT_SECONDS)

    def ask(self, method: str, target: str, body: bytes, content_type: str) -> Reply:
        headers = {**self._named, "content-type": content_type}
        answer = self._http.request(method, f"{self._url}{target}", body=body, headers=headers)
        return Reply(answer.status, answer.headers.get("content-type", ""), answer.data)

    def close(self) -> None:
        self._http.clear()


class FunctionsFramework(Address):
    """The plain `functions-framework` command, as in the README."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        [port] = free_ports(1)
        command = [str(Path(sys.executable).with_name("functions-framework")), "--target", "scorer"]
        command += ["--source", "functions/scorer/main.py", "--host", "127.0.0.1", "--port", str(port)]
        self._process = FunctionProcess(folder, command, port, environment)
        self._process.start()
        super().__init__(self._process.url)

    def close(self) -> None:
        super().close()
        self._process.stop()


class LocalEmulator(Address):
    """The emulator with the scorer's own manifest."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        port, admin = free_ports(2)
        manifests = scorer_alone(ROOT / "knative" / "base", folder / "manifests")
        command = [sys.executable, "-m", "shared.emulator", "--manifests", str(manifests), "--home", str(folder)]
        command += ["--port", f"scorer={port}", "--admin-port", str(admin)]
        for name, value in environment.items():
            command += ["--set", f"{name}={value}"]
        self._process = Process(command, folder / "log")
        self._process.start()
        super().__init__(f"http://127.0.0.1:{port}")

    def close(self) -> None:
        super().close()
        self._process.stop()


class _Lambda:
    """A Lambda handler behind API Gateway's HTTP API."""

    _invoker: Invoker

    def ask(self, method: str, target: str, body: bytes, content_type: str) -> Reply:
        event = http_api.event(method, target, {"content-type": content_type}, body)
        response = http_api.response(self._invoker.invoke(event))
        return Reply(response.status, response.headers.get("content-type", ""), response.body)

    def close(self) -> None:
        self._invoker.close()


class LambdaInProcess(_Lambda):
    """The handler called in this process, which can hold one of them."""

    def __init__(self, _folder: Path, environment: Mapping[str, str]) -> None:
        os.environ.update({**environment, "FRAUD_LOG_LEVEL": "ERROR"})
        self._invoker = InProcess(HANDLER)


class LambdaRuntime(_Lambda):
    """The handler under `awslambdaric`, the official runtime interface client."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._invoker = RuntimeInterface(HANDLER, environment, ROOT, LAMBDA_TIMEOUT_SECONDS, folder / "log")


LOCAL: Mapping[str, type[FunctionsFramework | LocalEmulator | LambdaInProcess | LambdaRuntime]] = {
    "functions-framework": FunctionsFramework,
    "emulator": LocalEmulator,
    "lambda": LambdaInProcess,
    "runtime-interface": LambdaRuntime,
}


def wait_ready(host: Host, name: str) -> None:
    """Wait until a host has a model to answer with.

    Raises:
        TimeoutError: It had none within a minute.
    """

    def ready() -> bool:
        try:
            return host.ask("GET", "/health/readiness", b"", "application/json").status == 200
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
            return False

    until(ready, 60, f"the scorer on {name}")
