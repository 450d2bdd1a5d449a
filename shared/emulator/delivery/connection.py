"""One keep-alive HTTP/1.1 connection of the dispatcher: a POST at a time, and what came of it.

Each event is one request on loopback. A general client spends about as much on it as the function does on the event.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

from shared.emulator.delivery.http_binding import HttpEvent

REASON_BYTES: Final = 1024
"""Bytes of an answer's body that are kept as the reason of a failure (`KN_ERROR_DATA_MAX_BYTES`)."""
_REUSE_BYTES: Final = 64 * 1024
_FIRST_FAILURE: Final = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of one attempt.

    Attributes:
        status: HTTP status; None when there was no answer.
        reason: Start of the answer's body, or why there was none.
    """

    status: int | None
    reason: bytes = b""


class Target(NamedTuple):
    """Where requests go."""

    host: str
    port: int
    head: bytes
    """Request line and Host header."""

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read the address of a service.

        Raises:
            ValueError: It is not an http address.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("not an http address")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or 80, f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n".encode())

    def request(self, event: HttpEvent) -> bytes:
        """The bytes of a request."""
        lines = [f"{name}: {value}\r\n" for name, value in event.headers.items()]
        lines.append(f"content-length: {len(event.body)}\r\n\r\n")
        return b"".join([self.head, "".join(lines).encode("latin-1"), event.body])


class Connection(asyncio.Protocol):
    """A connection and the request that waits on it, if any.

    Attributes:
        answers: Answers so far.
        open: Whether another request may be sent.
        begun: Whether any byte of the answer to the latest request has come.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.open = False
        self.begun = False
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._body = bytearray()
        self._length = 0

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; its answer raises `ConnectionError` when the connection breaks off.

        Raises:
            ConnectionError: The connection is not open.
        """
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._body.clear()
        self._length, self.begun = 0, False
        self._answer = answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close; whoever waits for an answer gets none."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of an answer."""
        self.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break_off(ConnectionError(f"no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: closed, by whomever."""
        self._transport = None
        self._break_off(exc or ConnectionResetError("the connection was closed before the answer"))

    def on_body(self, part: bytes) -> None:
        """httptools: part of the body; only the start of a long one is read."""
        self._length += len(part)
        self._body += part[: REASON_BYTES - len(self._body)]
        if self._length > _REUSE_BYTES:
            self._settle(reusable=False)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        self._settle(reusable=bool(self._parser.should_keep_alive()))

    def _settle(self, *, reusable: bool) -> None:
        waiting, self._answer = self._answer, None
        if not reusable or waiting is None:  # an answer to nothing is no good sign
            self.close()
        self.answers += 1
        if waiting is not None and not waiting.done():
            status = self._parser.get_status_code()
            waiting.set_result(Answer(status) if status < _FIRST_FAILURE else Answer(status, bytes(self._body)))

    def _break_off(self, error: Exception) -> None:
        waiting, self._answer = self._answer, None
        self.close()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
