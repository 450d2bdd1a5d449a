"""One run of load from start to report."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from shared.loadgen.alarm import Alarm
from shared.loadgen.client import LoadClient
from shared.loadgen.connection import Target
from shared.loadgen.recorder import OnSecond, RunRecorder
from shared.loadgen.replicas import ReplicaWatch
from shared.loadgen.report import LoadReport, latency_summary
from shared.loadgen.requests import RequestSource
from shared.loadgen.schedule import Arrivals, ClosedLoop, OpenLoop, Pacer

_SECOND_NS = 1_000_000_000
_LEAD_NS = 50_000_000  # between the start of the loop and the first request due
_LATE_NS = 10_000_000
_WARM_CONNECTIONS = 16
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """What to do.

    Attributes:
        target: Where to send.
        seconds: How long requests are due.
        rate: Requests per second in an open loop; None for a closed loop.
        arrivals: Open loop: "fixed" gaps, or "poisson" as from independent callers.
        connections: Closed loop: that many; open loop: at most that many.
        timeout_seconds: How long one request may wait for its answer.
        drain_seconds: Open loop: how long after the last request due those behind may still be sent.
        seed: Of the Poisson gaps.
    """

    target: Target
    seconds: float
    rate: float | None
    arrivals: Arrivals = "fixed"
    connections: int = 256
    timeout_seconds: float = 10.0
    drain_seconds: float = 5.0
    seed: int = 0


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine on uvloop, with the garbage collector off so that its pauses are not taken for the server's."""
    with _collector_off(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


async def generate(
    plan: LoadPlan,
    requests: RequestSource,
    *,
    watch: ReplicaWatch | None = None,
    on_second: OnSecond | None = None,
    recorder: RunRecorder | None = None,
) -> LoadReport:
    """Send the load and return what was measured.

    Args:
        plan: What to do.
        requests: Makes each request.
        watch: Asked for the replicas each second.
        on_second: Told each second of the timeline when it is over.
        recorder: Counts how requests end; one that keeps more of the answers than the report needs.

    Raises:
        OSError: The server can not be reached at all.
    """
    return await _Run(plan, requests, watch, on_second, recorder or RunRecorder()).execute()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        plan: LoadPlan,
        requests: RequestSource,
        watch: ReplicaWatch | None,
        on_second: OnSecond | None,
        recorder: RunRecorder,
    ) -> None:
        self._plan = plan
        self._requests = requests
        self._watch = watch
        self._on_second = on_second
        self._recorder = recorder
        self._replicas: int | None = None
        self._changes: list[tuple[float, int]] = []
        self._sent = 0
        self._finished = asyncio.Event()
        self._alarm = Alarm(asyncio.get_running_loop(), self._pump)
        self._client = LoadClient(
            plan.target,
            self._recorder,
            connections=plan.connections,
            timeout_seconds=plan.timeout_seconds,
            slot_free=self._pump,
        )
        self._start = 0
        self._pacer: Pacer = OpenLoop(1, 0, 0, "fixed")
        self._pumping = False
        self._behind = False  # since all connections were busy while a request was due

    async def execute(self) -> LoadReport:
        """Do it."""
        plan = self._plan
        await self._client.warm(_WARM_CONNECTIONS if plan.rate else plan.connections)
        await self._ask_replicas()
        self._start = time.monotonic_ns() + _LEAD_NS
        self._pacer = (
            OpenLoop(plan.rate, plan.seconds, self._start, plan.arrivals, plan.seed)
            if plan.rate
            else ClosedLoop(plan.seconds, self._start, time.monotonic_ns)
        )
        ticker = asyncio.create_task(self._tick())
        self._alarm.set(self._start)
        try:
            await self._wait_until_over()
        finally:
            ended = time.monotonic_ns()
            self._alarm.close()
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            await self._client.close()
        self._count_unsent(ended)
        if self._recorder.unreported:
            self._close_second()
        return self._report(ended)

    def _pump(self) -> None:
        """Send what is due while there are connections; set the alarm for what is due next."""
        if self._pumping or not self._start:
            return
        self._pumping = True
        try:
            while True:
                due = self._pacer.due()
                if due is None:
                    if self._client.in_flight == 0:
                        self._finished.set()
                    return
                now = time.monotonic_ns()
                if due > now:
                    self._behind = False
                    self._alarm.set(due)
                    return
                if not self._client.ready:
                    self._behind = True
                    return
                if now - due >= _LATE_NS:
                    self._recorder.sent_late(by_generator=not self._behind)
                self._sent += 1
                self._client.send(self._requests(), self._pacer.take())
        finally:
            self._pumping = False

    async def _wait_until_over(self) -> None:
        plan = self._plan
        last_due = self._start / 1e9 + plan.seconds
        patience = last_due + plan.drain_seconds - time.monotonic_ns() / 1e9
        try:
            async with asyncio.timeout(patience):
                await self._finished.wait()
        except TimeoutError:
            return

    async def _tick(self) -> None:
        number = 1
        while True:
            await asyncio.sleep((self._start + number * _SECOND_NS - time.monotonic_ns()) / _SECOND_NS)
            self._close_second()
            await self._ask_replicas()
            number += 1

    def _close_second(self) -> None:
        second = self._recorder.close_second(self._client.in_flight, self._replicas)
        if self._on_second:
            self._on_second(second)

    async def _ask_replicas(self) -> None:
        if self._watch is None:
            return
        state = await self._watch.state()
        if state is None:
            return
        if state.replicas != self._replicas:
            elapsed = max(0, time.monotonic_ns() - self._start) if self._start else 0
            self._changes.append((round(elapsed / 1e9, 1), state.replicas))
        self._replicas = state.replicas

    def _count_unsent(self, ended: int) -> None:
        if self._plan.rate is None:
            return
        while (due := self._pacer.due()) is not None:
            self._recorder.unsent(due, ended)
            self._pacer.take()

    def _report(self, ended: int) -> LoadReport:
        recorder, plan = self._recorder, self._plan
        seconds = max((ended - self._start) / 1e9, 1e-9)
        return LoadReport(
            mode="open" if plan.rate else "closed",
            target_rate=plan.rate,
            seconds=round(seconds, 3),
            achieved_rate=round(recorder.total_answered / max(seconds, plan.seconds), 1),
            requests=self._sent + recorder.failures["unsent"],
            answered=recorder.total_answered,
            failed=recorder.total_failed,
            statuses={str(status): count for status, count in sorted(recorder.statuses.items())},
            failures=dict(sorted(recorder.failures.items())),
            degraded=recorder.degraded,
            reconnected=recorder.reconnects,
            late=recorder.late,
            late_by_generator=recorder.late_by_generator,
            connections=self._client.opened,
            latency_ms=latency_summary(recorder),
            timeline=tuple(recorder.timeline),
            replicas=tuple(self._changes),
        )


@contextmanager
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
