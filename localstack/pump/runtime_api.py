"""The Lambda Runtime API: what the platform says to the runtime inside a function's container.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. The runtime asks for the next invocation and
posts its response or its error; `awslambdaric`, the official client, is what the container images run.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import orjson

from localstack.pump.local_server import LocalServer

_PREFIX: Final = "/2018-06-01/runtime/"
_ARN: Final = "arn:aws:lambda:us-east-1:000000000000:function:local"


class FunctionError(Exception):
    """The handler raised, or its process could not start.

    Attributes:
        kind: Name of the exception that it raised.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class _Invocation:
    payload: bytes
    deadline_ms: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: Future[bytes] = field(default_factory=Future)


class _Calls:
    """Invocations between whoever asks and the runtime."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Invocation | None] = queue.SimpleQueue()
        self._open: dict[str, _Invocation] = {}
        self._failed: FunctionError | None = None

    def add(self, invocation: _Invocation) -> None:
        if self._failed is not None:
            invocation.outcome.set_exception(self._failed)
            return
        self._open[invocation.id] = invocation
        self._waiting.put(invocation)

    def next(self) -> _Invocation | None:
        """Wait for an invocation; None when there will be no more."""
        return self._waiting.get()

    def end(self) -> None:
        self._waiting.put(None)

    def finish(self, request_id: str, body: bytes, *, failed: bool) -> bool:
        """Settle an invocation; False when there is none of this id."""
        invocation = self._open.pop(request_id, None)
        if invocation is None:
            return False
        if failed:
            invocation.outcome.set_exception(_error(body))
        else:
            invocation.outcome.set_result(body)
        return True

    def fail_all(self, body: bytes) -> None:
        """The runtime could not start: nothing will ever be answered."""
        self._failed = _error(body)
        for request_id in list(self._open):
            self.finish(request_id, body, failed=True)


class _Server(LocalServer):
    def __init__(self, calls: _Calls) -> None:
        self.calls = calls
        super().__init__(_Handler)


class RuntimeApi:
    """Serves the Runtime API on a loopback port to one runtime, which works on one invocation at a time."""

    def __init__(self) -> None:
        self._calls = _Calls()
        self._server = _Server(self._calls)

    @property
    def address(self) -> str:
        """Value of ``AWS_LAMBDA_RUNTIME_API`` for the runtime: host and port."""
        return self._server.address

    def submit(self, payload: bytes, timeout_seconds: float) -> Future[bytes]:
        """Hand an invocation to the runtime; the future holds its response, or the `FunctionError` it posted."""
        invocation = _Invocation(payload, int((time.time() + timeout_seconds) * 1e3))
        self._calls.add(invocation)
        return invocation.outcome

    def close(self) -> None:
        """Stop serving; a runtime that still waits for an invocation is let go."""
        self._calls.end()
        self._server.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        invocation = self.server.calls.next() if self.path == f"{_PREFIX}invocation/next" else None
        if invocation is None:
            self._reply(404)
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": _ARN,
            "Content-Type": "application/json",
        }
        self._reply(200, invocation.payload, headers)

    def do_POST(self) -> None:
        body = self._body()
        match self.path.removeprefix(_PREFIX).split("/"):
            case ["init", "error"]:
                self.server.calls.fail_all(body)
                known = True
            case ["invocation", request_id, "response" | "error" as kind]:
                known = self.server.calls.finish(request_id, body, failed=kind == "error")
            case _:
                known = False
        self._reply(202 if known else 404)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the function's own log is what matters."""


def _error(body: bytes) -> FunctionError:
    try:
        document = orjson.loads(body)
        return FunctionError(document.get("errorType") or "Unknown", document.get("errorMessage") or "")
    except (orjson.JSONDecodeError, AttributeError):
        return FunctionError("Unknown", "the runtime posted an error that cannot be read")
