"""Three ways to invoke a Lambda handler: in this process, through the runtime interface, at an endpoint."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as Overdue
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

import orjson

from localstack.pump.runtime_api import FunctionError, RuntimeApi

__all__ = ["Endpoint", "FunctionError", "InProcess", "Invoker", "RuntimeInterface"]

_POLL_SECONDS = 1.0


class Invoker(Protocol):
    """Invokes one function."""

    def invoke(self, payload: Mapping[str, Any]) -> Any:
        """Return what the handler returned for a payload; raises `FunctionError` when it raised."""

    def close(self) -> None:
        """Let go of the function."""


class InProcess:
    """Calls the handler itself, in the thread that made this invoker.

    Args:
        handler: Where it is: ``functions.scorer.main.lambda_handler``. Its settings are read from this process'
            environment, now.
    """

    def __init__(self, handler: str) -> None:
        # Handlers that are asynchronous inside expect the loop that Lambda's runtime keeps for the main thread.
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        module, _, name = handler.rpartition(".")
        self._handler: Callable[[Any, Any], Any] = getattr(importlib.import_module(module), name)

    def invoke(self, payload: Mapping[str, Any]) -> Any:
        """Invoke; the payload and the result pass through JSON, as they do at AWS."""
        try:
            return orjson.loads(orjson.dumps(self._handler(orjson.loads(orjson.dumps(payload)), None)))
        except Exception as error:
            raise FunctionError(type(error).__name__, str(error)) from error

    def close(self) -> None:
        """Close the event loop."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        self._loop.close()


class RuntimeInterface:
    """Runs the handler in a process of its own under `awslambdaric`, as the container images do.

    Args:
        handler: Where it is.
        environment: The process' environment, beside what it needs to run at all.
        folder: Its working folder: where the project is.
        timeout_seconds: The function's time limit.
        log: File that takes what the process writes; by default it goes where this process' errors go.
    """

    def __init__(
        self,
        handler: str,
        environment: Mapping[str, str],
        folder: Path,
        timeout_seconds: float,
        log: Path | None = None,
    ) -> None:
        self._api = RuntimeApi()
        self._timeout = timeout_seconds
        given = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        function = {"AWS_LAMBDA_RUNTIME_API": self._api.address, "_HANDLER": handler, "PYTHONPATH": str(folder)}
        output = sys.stderr if log is None else log.open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "awslambdaric", handler],
            cwd=folder,
            env={**given, **environment, **function},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def invoke(self, payload: Mapping[str, Any]) -> Any:
        """Invoke; the first one waits for the cold start.

        Raises:
            FunctionError: The handler raised, took too long, or its process ended.
        """
        answer = self._api.submit(orjson.dumps(payload), self._timeout)
        waited = 0.0
        while True:
            with suppress(Overdue):
                return orjson.loads(answer.result(_POLL_SECONDS))
            waited += _POLL_SECONDS
            if self._process.poll() is not None:
                raise FunctionError("Runtime.ExitError", f"the runtime ended with status {self._process.returncode}")
            if waited >= self._timeout:
                raise FunctionError("Sandbox.Timedout", f"no answer in {self._timeout:g} s")

    def close(self) -> None:
        """End the process as Lambda does, and stop the Runtime API."""
        self._process.terminate()
        self._api.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Endpoint:
    """Invokes a deployed function by its name at AWS, or wherever ``AWS_ENDPOINT_URL`` points (LocalStack, moto)."""

    def __init__(self, function: str, endpoint_url: str | None = None) -> None:
        import boto3  # noqa: PLC0415 - a second of import that the other two do without

        self._function = function
        self._client = boto3.client("lambda", endpoint_url=endpoint_url)

    def invoke(self, payload: Mapping[str, Any]) -> Any:
        """Invoke and wait for the result."""
        answer = self._client.invoke(FunctionName=self._function, Payload=orjson.dumps(payload))
        body = answer["Payload"].read()
        if "FunctionError" in answer:
            document = orjson.loads(body)
            raise FunctionError(document.get("errorType", "Unknown"), document.get("errorMessage", ""))
        return orjson.loads(body) if body else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
