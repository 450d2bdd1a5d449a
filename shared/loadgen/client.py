"""Requests over as many keep-alive connections as needed, up to a bound."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from shared.loadgen.connection import Connection, Target

_CONNECT_PAUSE_SECONDS = 0.1  # after a refused connection, before its slot is used again: a dead server is not hammered
_SWEEP_SECONDS = 0.1

Failure = Literal["connect", "disconnected", "timeout"]


class Recorder(Protocol):
    """Who counts how requests end."""

    def answered(self, intended_ns: int, now_ns: int, status: int, body: bytes) -> None:
        """A request was answered."""
        ...

    def failed(self, intended_ns: int, now_ns: int, failure: Failure) -> None:
        """A request ended without an answer."""
        ...

    def reconnected(self) -> None:
        """A request is sent once more: its reused connection was closed before any byte of the answer."""
        ...


class LoadClient:
    """Sends requests, each on a free connection; never waits, never queues.

    Idle connections are used in turn, so that all replicas behind one address get their share. A server may close an
    idle keep-alive connection at any time; a request that meets that is sent once more on a new connection (RFC 9112,
    section 9.3.1) and goes on counting from its intended time.
    """

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        *,
        connections: int,
        timeout_seconds: float,
        slot_free: Callable[[], None],
    ) -> None:
        """Prepare; `start` opens the first connections.

        Args:
            target: Where to send.
            recorder: Who counts.
            connections: Bound on open connections, and so on requests in flight.
            timeout_seconds: How long a request may wait for its answer, from when it was sent.
            slot_free: Called whenever another request could be sent.
        """
        self._target = target
        self._recorder = recorder
        self._bound = connections
        self._timeout_ns = round(timeout_seconds * 1e9)
        self._slot_free = slot_free
        self._loop = asyncio.get_running_loop()
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = 0  # open, being opened, or pausing after a refusal
        self._closed = False
        self.in_flight = 0
        self.opened = 0
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    @property
    def ready(self) -> bool:
        """Whether `send` can be called."""
        return bool(self._idle) or self._slots < self._bound

    async def warm(self, count: int) -> None:
        """Open connections ahead of the run.

        Raises:
            OSError: The server can not be reached.
        """
        while self._slots < min(count, self._bound):
            self._slots += 1
            connection = await self._connect()
            if connection.open:
                self._idle.append(connection)

    def send(self, request: bytes, intended_ns: int) -> None:
        """Send a request; only while `ready`."""
        self.in_flight += 1
        while self._idle:
            connection = self._idle.popleft()
            if connection.open:
                connection.send(request, intended_ns, time.monotonic_ns())
                return
        self._slots += 1
        self._spawn(self._send_on_new(request, intended_ns))

    async def close(self) -> None:
        """Close all connections; requests still in flight end as timeouts."""
        self._closed = True
        self._sweeper.cancel()
        for connection in list(self._open):
            if connection.busy:
                self._end(connection, "timeout")
            connection.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def answered(self, connection: Connection) -> None:
        """`Owner`: count the answer and free the connection."""
        self.in_flight -= 1
        self._recorder.answered(connection.intended_ns, time.monotonic_ns(), connection.status, connection.body)
        if connection.reusable:
            self._idle.append(connection)
            self._slot_free()

    def lost(self, connection: Connection) -> None:
        """`Owner`: send the waiting request once more if that is safe, else count it as failed."""
        self._open.discard(connection)
        self._slots -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.busy and not self._closed:
            if connection.answers and not connection.begun:
                self._recorder.reconnected()
                self._slots += 1
                self._spawn(self._send_on_new(connection.request, connection.intended_ns))
            else:
                self._end(connection, "disconnected")
        if not self._closed:
            self._slot_free()

    async def _send_on_new(self, request: bytes, intended_ns: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_ns / 1e9):
                connection = await self._connect()
        except (OSError, TimeoutError):
            self.in_flight -= 1
            self._recorder.failed(intended_ns, time.monotonic_ns(), "connect")
            await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
            self._slots -= 1
            self._slot_free()
            return
        except asyncio.CancelledError:
            self.in_flight -= 1
            self._recorder.failed(intended_ns, time.monotonic_ns(), "timeout")
            raise
        if connection.open:
            connection.send(request, intended_ns, time.monotonic_ns())
        else:
            self.in_flight -= 1
            self._recorder.failed(intended_ns, time.monotonic_ns(), "disconnected")

    async def _connect(self) -> Connection:
        _, connection = await self._loop.create_connection(
            lambda: Connection(self), self._target.host, self._target.port, ssl=self._target.tls or None
        )
        self.opened += 1
        if connection.open:
            self._open.add(connection)
        return connection

    def _spawn(self, work: asyncio._CoroutineLike[None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, connection: Connection, failure: Failure) -> None:
        connection.busy = False
        self.in_flight -= 1
        self._recorder.failed(connection.intended_ns, time.monotonic_ns(), failure)

    def _sweep(self) -> None:
        """End the requests that have waited too long."""
        oldest = time.monotonic_ns() - self._timeout_ns
        for connection in list(self._open):
            if connection.busy and connection.sent_ns < oldest:
                self._end(connection, "timeout")
                connection.abort()
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
