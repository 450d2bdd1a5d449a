"""What Knative's queue-proxy does in front of a function, inside the function's own process.

It counts the requests in flight (the autoscaler's input), bounds them by `containerConcurrency` with a queue of ten
times that length, and ends a request that takes longer than `timeoutSeconds`; see knative/serving, pkg/queue. All of
that costs a few microseconds per request, since the scorer answers thousands of them per second: there is no timer
per request but one sweep per second over the oldest ones.

This module is part of each replica's cold start, hence imports nothing that a server of HTTP does not have anyway.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

from shared.hosts.http_protocol import LeanProtocol

Application = Callable[[Any, Any, Any], Awaitable[None]]

_QUEUE_PER_SLOT = 10  # knative/serving, pkg/queue/sharedmain: queueDepth := 10 * env.ContainerConcurrency


class QueueProxy:
    """Counts, bounds and times the requests of one replica.

    Args:
        app: The function as an ASGI application.
        concurrency: Requests served at once; 0 = no bound.
        timeout: Seconds after which a request is answered with 504.
    """

    def __init__(self, app: Application, *, concurrency: int, timeout: float) -> None:
        self._app = app
        self._free = concurrency
        self._bounded = concurrency > 0
        self._queue_length = concurrency * _QUEUE_PER_SLOT
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timeout = timeout
        self._in_flight: dict[int, tuple[float, asyncio.Task[Any]]] = {}
        self._timed_out: set[int] = set()
        self._next_id = 0
        self._area = 0.0
        self._changed = self._reported = monotonic()
        self._finished = 0

    @property
    def in_flight(self) -> int:
        """Requests that are being answered or wait in the queue."""
        return len(self._in_flight)

    def report(self) -> dict[str, float]:
        """Time-weighted average concurrency and requests per second since the last report."""
        now = monotonic()
        elapsed = max(now - self._reported, 1e-9)
        area = self._area + len(self._in_flight) * (now - self._changed)
        report = {"concurrency": area / elapsed, "rps": self._finished / elapsed, "in_flight": len(self._in_flight)}
        self._area, self._changed, self._reported, self._finished = 0.0, now, now, 0
        return report

    def sweep(self) -> None:
        """Cancel the requests whose time is over; they are answered by their own task."""
        limit = monotonic() - self._timeout
        for key, (started, task) in self._in_flight.items():
            if started > limit:
                break  # in order of arrival: all later ones are younger
            if key not in self._timed_out:
                self._timed_out.add(key)
                task.cancel()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request of the service's shared address."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - uvicorn runs each request in a task
        now = monotonic()
        self._area += len(self._in_flight) * (now - self._changed)
        self._changed = now
        self._next_id = key = self._next_id + 1
        self._in_flight[key] = (now, task)
        try:
            if self._bounded:
                await self._serve_bounded(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if key not in self._timed_out:
                raise
            self._timed_out.discard(key)
            task.uncancel()
            await _refuse(send, 504, b"request timeout")
        finally:
            now = monotonic()
            self._area += len(self._in_flight) * (now - self._changed)
            self._changed = now
            self._finished += 1
            del self._in_flight[key]

    async def _serve_bounded(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if self._free:
            self._free -= 1
        elif len(self._waiting) >= self._queue_length:
            await _refuse(send, 503, b"pending request queue full")
            return
        else:
            await self._wait_for_slot()
        try:
            await self._app(scope, receive, send)
        finally:
            self._pass_slot_on()

    async def _wait_for_slot(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_slot_on()
            raise

    def _pass_slot_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


async def _refuse(send: Any, status: int, reason: bytes) -> None:
    """Answer in the function's place, or break the connection off when the function had begun to answer."""
    cycle = send.__self__
    if cycle.response_started:
        cycle.transport.abort()
        return
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(reason)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason})


class SharedConnection(LeanProtocol):
    """A connection of the service's shared address, which can be asked to end without losing a request.

    Attributes:
        ended: When it was asked to; None while it stays.
    """

    def __init__(self, *args: Any, open_connections: "set[SharedConnection]", proxy: QueueProxy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = proxy
        self.ended: float | None = None
        self._open = open_connections
        self._proxy = proxy

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Join the replica's open connections."""
        self._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the replica's open connections."""
        self._open.discard(self)
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def end(self) -> None:
        """Let the answer in flight, or else the next one, carry `Connection: close`.

        An idle connection stays open: a request may be on its way, and closing would lose it.
        """
        if self.ended is not None:
            return
        self.ended = monotonic()
        self.app = self._answer_last
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    async def _answer_last(self, scope: Any, receive: Any, send: Any) -> None:
        send.__self__.keep_alive = False
        await self._proxy(scope, receive, send)
