"""Calls an ASGI application in this process, message by message, without a server in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson


class Answer(NamedTuple):
    """What an application sent; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


async def call(
    app: Callable[..., Awaitable[None]],
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Sequence[bytes] = b"",
    hang_up: bool = False,
) -> Answer:
    """Send one request.

    Args:
        app: The application.
        method: HTTP method.
        target: Path and query.
        headers: Request headers.
        body: The body, or its pieces as they arrive.
        hang_up: The client goes away after the last piece, with more announced.
    """
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    pieces = [body] if isinstance(body, bytes) else list(body)
    arriving = [
        {"type": "http.request", "body": piece, "more_body": hang_up or place < len(pieces) - 1}
        for place, piece in enumerate(pieces)
    ]
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        if arriving:
            return arriving.pop(0)
        if not hang_up:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    return Answer(
        start["status"],
        {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in rest),
    )
