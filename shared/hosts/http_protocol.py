"""uvicorn's HTTP/1.1 protocol with less work per request.

uvicorn's own spends about as much on a request as a decision costs: an event object, two timers, checks of each header
by regular expressions, and two writes. Here a whole request that came at once is handed over at once, an answer of
known length leaves in one write, header lines are checked once and remembered, and one timer per connection looks
after keep-alive. Whatever is rarer (chunked answers, pipelined requests, 100-continue) stays uvicorn's.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

_BODILESS = frozenset((204, 304))
_FIRST_FINAL_STATUS = 200
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class _Signal:
    """An asyncio.Event that is made only when somebody waits; nobody does for a request that came at once."""

    __slots__ = ("_event", "_set")

    def __init__(self) -> None:
        self._set = False
        self._event: asyncio.Event | None = None

    def set(self) -> None:
        self._set = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        self._set = False
        if self._event is not None:
            self._event.clear()

    async def wait(self) -> None:
        if self._set:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()


class Exchange(RequestResponseCycle):
    """One request and its answer."""

    def __init__(self, protocol: LeanProtocol, scope: Any, *, keep_alive: bool) -> None:
        # uvicorn's own constructor takes sixteen arguments by keyword, which costs more than all of this.
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.access_logger = protocol.access_logger
        self.access_log = protocol.access_log
        self.default_headers = protocol.server_state.default_headers
        self.message_event = cast("asyncio.Event", _Signal())
        self.on_response = protocol.on_response_complete
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0
        self._start: MutableMapping[str, Any] | None = None

    async def receive(self) -> Any:
        """ASGI: the body, at once when it is all there."""
        if self.more_body or self.response_complete or self.disconnected or not self.body:
            return await super().receive()
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """ASGI: the answer. Its head is kept until the body is known, so that both leave together."""
        start = self._start
        if start is None:
            if self.response_started or message["type"] != "http.response.start":
                await super().send(message)
            elif not self.disconnected:
                self.response_started = True
                self._start = message
            return
        self._start = None
        if self.disconnected:
            return
        if not self.flow.write_paused and (answer := self._whole(start, message)) is not None:
            self.response_complete = True
            self.transport.write(answer)
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
            return
        self.response_started = False
        await super().send(cast("Any", start))
        await super().send(message)

    def _whole(self, start: MutableMapping[str, Any], message: MutableMapping[str, Any]) -> bytes | None:
        """The bytes of an answer that is complete and of the length that it states; None for any other."""
        status = start["status"]
        if (
            message["type"] != "http.response.body"
            or message.get("more_body", False)
            or status < _FIRST_FINAL_STATUS
            or status in _BODILESS
            or self.scope["method"] == "HEAD"
        ):
            return None
        body = message.get("body", b"")
        lines = [STATUS_LINE[status]]
        length = -1
        for name, value in self.default_headers:
            lines.append(_header_line(name, value))
        for name, value in start.get("headers", ()):
            if name == b"content-length":
                length = int(value)
            elif name.lower() in (b"connection", b"transfer-encoding", b"content-length"):
                return None
            lines.append(_header_line(name, value))
        if length != len(body):
            return None
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        return b"".join(lines)


class LeanProtocol(HttpToolsProtocol):
    """A connection. `limit_concurrency` is refused: bounding requests is the host's."""

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
        if config.limit_concurrency is not None:
            raise ValueError("limit_concurrency is not supported by this protocol")
        super().__init__(config, *args, **kwargs)
        self._idle_since = 0.0  # loop time; 0 while a request is under way

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """httptools: the request but for its body is known."""
        parser = self.parser
        version = parser.get_http_version()
        path, raw_path, query = _parts(self.url)
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": parser.get_method().decode("ascii"),
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
        }
        self.scope = cast("Any", scope)
        if parser.should_upgrade() and self._should_upgrade():
            return
        before = self.cycle
        keep_alive = version != "1.0" and bool(parser.should_keep_alive())
        self.cycle = cycle = Exchange(self, scope, keep_alive=keep_alive)
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch_idle(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = 0.0  # the timer stays: it looks when it rings

    def _watch_idle(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for the whole time, or look again when it may have been."""
        self.timeout_keep_alive_task = None
        if not self._idle_since:
            return  # the answer to come sets the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._watch_idle(left)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: closed."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        super().connection_lost(exc)


@lru_cache(maxsize=4096)
def server_config(app: Any, **host: Any) -> uvicorn.Config:
    """Return uvicorn's settings as every host of ours has them: this protocol, no websockets, no log of its own.

    Args:
        app: The ASGI 3 application.
        host: Settings of that host alone: where it listens, and how long it waits.
    """
    return uvicorn.Config(
        app,
        http=LeanProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        **host,
    )


def _header_line(name: bytes, value: bytes) -> bytes:
    """One header line.

    Raises:
        RuntimeError: A character that no header may hold; it could forge another header.
    """
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError("Invalid HTTP header.")
    return b"%b: %b\r\n" % (name.lower(), value)


@lru_cache(maxsize=256)
def _parts(url: bytes) -> tuple[str, bytes, bytes]:
    """Path decoded, path as it came, and query of a request target."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return (unquote(path) if "%" in path else path), parsed.path, parsed.query or b""
