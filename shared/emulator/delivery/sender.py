"""One HTTP request per attempt, and what came of it."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp

from shared.emulator.delivery.http_binding import HttpEvent
from shared.emulator.delivery.retry import parse_retry_after

REASON_BYTES: Final = 1024
"""Bytes of an answer's body that are kept as the reason of a failure (`KN_ERROR_DATA_MAX_BYTES`)."""

_REUSE_BYTES: Final = 64 * 1024
NO_ANSWER_STATUS: Final = 500
"""Status under which an attempt without an answer is reported, as knative/eventing's dispatcher reports it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of one attempt.

    Attributes:
        status: HTTP status; None when there was no answer.
        reason: Start of the answer's body, or why there was none.
        retry_after: Seconds that the service asks to be left alone.
    """

    status: int | None
    reason: bytes = b""
    retry_after: float = 0.0


class Sender:
    """An HTTP client with keep-alive connections.

    A connection is opened whenever none is idle, so that replicas behind one listening socket share the load by
    accepting; one that the server closes (`Connection: close`) is replaced with the next request.
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
        )
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, url: str | None, event: HttpEvent, timeout: float) -> Answer:  # noqa: ASYNC109 - per request, aiohttp's own
        """Post an event; never raises for what the other side does.

        Args:
            url: The sink; None while it has no address.
            event: Headers and body.
            timeout: Seconds for the whole exchange.
        """
        if url is None:
            return Answer(None, b"dispatch error: the service has no address")
        limit = self._timeouts.setdefault(timeout, aiohttp.ClientTimeout(total=timeout))
        try:
            async with self._session.post(
                url, data=event.body, headers=event.headers, timeout=limit, allow_redirects=False
            ) as response:
                body = await _start_of_body(response)
                if response.status < 300:
                    return Answer(response.status)
                retry_after = parse_retry_after(response.headers.get("Retry-After"))
                return Answer(response.status, body[:REASON_BYTES], retry_after)
        except TimeoutError:
            return Answer(None, f"dispatch error: no answer within {timeout:g} s".encode())
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            return Answer(None, f"dispatch error: {type(error).__name__}: {error}".encode()[:REASON_BYTES])


async def _start_of_body(response: aiohttp.ClientResponse) -> bytes:
    """Read a body to its end when it is short, so that the connection can be used again; else only its start."""
    length = response.content_length
    if length is not None and length <= _REUSE_BYTES:
        return await response.read()
    body = bytearray()
    while len(body) < _REUSE_BYTES:
        chunk = await response.content.read(_REUSE_BYTES - len(body))
        if not chunk:
            break
        body += chunk
    return bytes(body)
