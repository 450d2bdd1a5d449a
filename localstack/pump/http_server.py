"""An HTTP API on a local port: every request becomes an event, every result a response."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

from localstack.pump import http_api
from localstack.pump.invokers import FunctionError, Invoker
from localstack.pump.local_server import LocalServer


class HttpApi(LocalServer):
    """Serves a function on a loopback port; port 0 takes a free one."""

    def __init__(self, invoker: Invoker, port: int) -> None:
        self.invoker = invoker
        super().__init__(_Handler, port)

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://{self.address}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpApi

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        event = http_api.event(self.command, self.path, dict(self.headers.items()), body)
        try:
            reply = http_api.response(self.server.invoker.invoke(event))
        except FunctionError:
            # What API Gateway says when the function raised.
            reply = http_api.Response(500, {"content-type": "application/json"}, b'{"message":"Internal Server Error"}')
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name != "content-length":
                self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the function logs its requests."""
