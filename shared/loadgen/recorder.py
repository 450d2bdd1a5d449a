"""What a run is made of: counts, latencies, and each second of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shared.loadgen.client import Failure
from shared.loadgen.histogram import Histogram

_FIRST_ERROR_STATUS = 400
_DEGRADED = b'"degraded":true'


@dataclass(frozen=True, kw_only=True)
class Second:
    """One second of the run.

    Attributes:
        second: Number of the second, from 0.
        answered: Requests answered in it, whatever the status.
        failed: Requests that ended in it without an answer or with a status of 400 or more.
        p50_ms: Median latency of those answered; None when there were none.
        p99_ms: Their 99th percentile.
        in_flight: Requests waiting at its end.
        replicas: Replicas of the service at its end; None when nobody tells.
    """

    second: int
    answered: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    in_flight: int
    replicas: int | None


class RunRecorder:
    """Counts how requests end (`shared.loadgen.client.Recorder`).

    The histogram holds the latency of each request from its intended time: answered with a status below 400, or given
    up (timed out, or due and never sent) with the time it had waited so far. Refused and broken connections and error
    statuses are counted apart: they end fast and would flatter the percentiles.
    """

    def __init__(self) -> None:
        self.latencies = Histogram()
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.degraded = 0
        self.reconnects = 0
        self.late = 0
        self.late_by_generator = 0
        self.timeline: list[Second] = []
        self._pending: list[int] = []
        self._answered = 0
        self._failed = 0

    def answered(self, intended_ns: int, now_ns: int, status: int, body: bytes) -> None:
        """Count an answer."""
        self.degraded += _DEGRADED in body
        self.statuses[status] += 1
        self._answered += 1
        if status < _FIRST_ERROR_STATUS:
            self._pending.append(now_ns - intended_ns)
        else:
            self._failed += 1

    def failed(self, intended_ns: int, now_ns: int, failure: Failure) -> None:
        """Count a request that got no answer."""
        self.failures[failure] += 1
        self._failed += 1
        if failure == "timeout":
            self._pending.append(now_ns - intended_ns)

    def unsent(self, intended_ns: int, now_ns: int) -> None:
        """Count a request that was due and could not be sent before the end."""
        self.failures["unsent"] += 1
        self._failed += 1
        self._pending.append(now_ns - intended_ns)

    def reconnected(self) -> None:
        """Count a request that was sent once more."""
        self.reconnects += 1

    def sent_late(self, *, by_generator: bool) -> None:
        """Count a request that was sent 10 ms or more after it was due.

        Args:
            by_generator: A connection was free in time: it was this process that came late.
        """
        self.late += 1
        self.late_by_generator += by_generator

    def close_second(self, in_flight: int, replicas: int | None) -> Second:
        """End a second of the timeline and return it."""
        latencies = np.array(self._pending, np.int64)
        self._pending.clear()
        self.latencies.add(latencies)
        p50, p99 = np.percentile(latencies, (50, 99), method="inverted_cdf") / 1e6 if latencies.size else (None, None)
        second = Second(
            second=len(self.timeline),
            answered=self._answered,
            failed=self._failed,
            p50_ms=None if p50 is None else round(float(p50), 3),
            p99_ms=None if p99 is None else round(float(p99), 3),
            in_flight=in_flight,
            replicas=replicas,
        )
        self._answered = self._failed = 0
        self.timeline.append(second)
        return second

    @property
    def unreported(self) -> bool:
        """Whether anything ended since the last second was closed."""
        return bool(self._answered or self._failed)

    @property
    def total_answered(self) -> int:
        """All answers."""
        return self.statuses.total()

    @property
    def total_failed(self) -> int:
        """Requests without an answer, or with a status of 400 or more."""
        return self.failures.total() + sum(
            count for status, count in self.statuses.items() if status >= _FIRST_ERROR_STATUS
        )


OnSecond = Callable[[Second], None]
