"""One HTTP request per attempt, and what came of it."""

import asyncio
from types import TracebackType
from typing import Final, Self

from shared.emulator.delivery.connection import REASON_BYTES, Answer, Connection, Target
from shared.emulator.delivery.http_binding import HttpEvent

_IDLE_SECONDS: Final = 30.0
"""Shorter than servers keep a connection, so that hardly a request meets its end."""
NO_ANSWER_STATUS: Final = 500
"""Status under which an attempt without an answer is reported, as knative/eventing's dispatcher reports it."""


class Sender:
    """An HTTP client with keep-alive connections.

    A connection is opened whenever none is idle, so that replicas behind one listening socket share the load by
    accepting; one that the server closes (`Connection: close`) is replaced with the next request.
    """

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._idle: dict[str, list[Connection]] = {}
        self._open: set[Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._open:
            connection.close()

    async def post(self, url: str | None, event: HttpEvent, timeout: float) -> Answer:  # noqa: ASYNC109 - its error is an answer
        """Post an event; never raises for what the other side does.

        Args:
            url: The sink; None while it has no address.
            event: Headers and body.
            timeout: Seconds for the whole exchange.
        """
        if url is None:
            return Answer(None, b"dispatch error: the service has no address")
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(url, event)
        except TimeoutError:
            return Answer(None, f"dispatch error: no answer within {timeout:g} s".encode())
        except (OSError, ValueError) as error:
            return Answer(None, f"dispatch error: {type(error).__name__}: {error}".encode()[:REASON_BYTES])

    async def _exchange(self, url: str, event: HttpEvent) -> Answer:
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = Target.parse(url)
        request = target.request(event)
        connection = self._take_idle(url)
        if connection is not None:
            try:
                return await self._ask(url, connection, request)
            except ConnectionError:
                if connection.begun:
                    raise
                # The server closed it while the request was on its way (RFC 9112, section 9.3.1): once more.
        return await self._ask(url, await self._connect(target), request)

    def _take_idle(self, url: str) -> Connection | None:
        idle = self._idle.get(url, [])
        oldest = asyncio.get_running_loop().time() - _IDLE_SECONDS
        while idle:
            connection = idle.pop()
            if connection.open and connection.idle_since > oldest:
                return connection
            connection.close()
            self._open.discard(connection)
        return None

    async def _connect(self, target: Target) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, target.host, target.port)
        self._open.add(connection)
        return connection

    async def _ask(self, url: str, connection: Connection, request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()  # what is still to come would answer the next request
            self._open.discard(connection)
            raise
        if connection.open:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault(url, []).append(connection)
        else:
            self._open.discard(connection)
        return answer
