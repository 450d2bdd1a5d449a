"""One HTTP/1.1 keep-alive connection that answers one request at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        host: Name or address.
        port: TCP port.
        path: Path and query.
        tls: Whether the connection is encrypted (https).
        named: What an ingress knows the server by, where that is not its address.
    """

    host: str
    port: int
    path: str
    tls: bool
    named: str | None = None

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read an http or https address.

        Raises:
            ValueError: It is not one.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http address: {url!r}")
        tls = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or (443 if tls else 80), path, tls)

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        if self.named is not None:
            return self.named
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Owner(Protocol):
    """Who is told what became of a request."""

    def answered(self, connection: Connection) -> None:
        """The answer is complete: `status`, `body` and `reusable` of the connection are set."""
        ...

    def lost(self, connection: Connection) -> None:
        """The connection is closed; `busy` tells whether a request was waiting on it."""
        ...


class Connection(asyncio.Protocol):
    """A connection and the request that waits on it, if any.

    Attributes:
        intended_ns: When the waiting request was due.
        sent_ns: When it was sent.
        request: Its bytes, kept for one more attempt on a new connection.
        status: Status of the last answer.
        body: Its body.
        busy: Whether a request is waiting.
        begun: Whether any byte of the answer has come.
        answers: Answers so far; a connection without any is fresh.
        reusable: Whether the server keeps the connection open after the last answer.
    """

    __slots__ = (
        "_complete",
        "_owner",
        "_parser",
        "_transport",
        "answers",
        "begun",
        "body",
        "busy",
        "intended_ns",
        "request",
        "reusable",
        "sent_ns",
        "status",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._complete = False
        self.intended_ns = 0
        self.sent_ns = 0
        self.request = b""
        self.status = 0
        self.body = b""
        self.busy = False
        self.begun = False
        self.answers = 0
        self.reusable = True

    @property
    def open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and self.reusable

    def send(self, request: bytes, intended_ns: int, now_ns: int) -> None:
        """Send a request on an open connection on which none is waiting.

        Raises:
            ConnectionError: The connection is not open.
        """
        if self._transport is None:
            raise ConnectionError("not connected")
        self.request = request
        self.intended_ns = intended_ns
        self.sent_ns = now_ns
        self.busy = True
        self.begun = False
        self.body = b""
        self._transport.write(request)

    def abort(self) -> None:
        """Close at once; `Owner.lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of an answer."""
        self.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
            return
        if self._complete:
            self._complete = False
            if not self.busy:  # an answer to nothing
                self.abort()
                return
            self.busy = False
            self.answers += 1
            self._owner.answered(self)
            if not self.reusable and self._transport is not None:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """asyncio: closed, by whomever."""
        self._transport = None
        self.reusable = False
        self._owner.lost(self)

    def on_body(self, part: bytes) -> None:
        """httptools: part of the body."""
        self.body = self.body + part if self.body else part

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        self.status = self._parser.get_status_code()
        self.reusable = bool(self._parser.should_keep_alive())
        self._complete = True
