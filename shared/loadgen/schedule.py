"""When each request is due: decided before the run, never by the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np

Arrivals = Literal["fixed", "poisson"]
_SECOND_NS = 1_000_000_000
_CHUNK = 4096


class Pacer(Protocol):
    """Says which request is due."""

    def due(self) -> int | None:
        """Return when the next request is due (monotonic nanoseconds), None when there is no further one."""
        ...

    def take(self) -> int:
        """Take the next request and return when it was due."""
        ...


class OpenLoop:
    """A fixed schedule. A request that could not be sent in time keeps its time, and its latency counts from there.

    That is what makes the measurement safe against coordinated omission (Gil Tene, "How NOT to Measure Latency"): a
    server that stalls for a second delays all that was due in that second, and all of it is counted.
    """

    def __init__(self, rate: float, seconds: float, start_ns: int, arrivals: Arrivals, seed: int = 0) -> None:
        offsets = _fixed(rate, seconds) if arrivals == "fixed" else _poisson(rate, seconds, seed)
        self._times = (start_ns + offset for offset in offsets)
        self._next = next(self._times, None)

    def due(self) -> int | None:
        """Return when the next request is due."""
        return self._next

    def take(self) -> int:
        """Take the next request.

        Raises:
            IndexError: There is no further one.
        """
        if self._next is None:
            raise IndexError("the schedule is over")
        taken = self._next
        self._next = next(self._times, None)
        return taken


class ClosedLoop:
    """Always another request until the time is over: each connection sends as soon as it has its answer.

    It finds the capacity of a server. Its latencies are those of a server that is never asked while it stalls.
    """

    def __init__(self, seconds: float, start_ns: int, clock: Clock) -> None:
        self._end = start_ns + round(seconds * _SECOND_NS)
        self._clock = clock

    def due(self) -> int | None:
        """Return the present, until the time is over."""
        now = self._clock()
        return now if now < self._end else None

    def take(self) -> int:
        """Return the present."""
        return self._clock()


class Clock(Protocol):
    """A monotonic clock."""

    def __call__(self) -> int:
        """Return nanoseconds."""
        ...


def _fixed(rate: float, seconds: float) -> Iterator[int]:
    for number in range(round(rate * seconds)):
        yield int(number * _SECOND_NS / rate)


def _poisson(rate: float, seconds: float, seed: int) -> Iterator[int]:
    """Yield offsets with exponential gaps: independent callers, as many customers are."""
    random = np.random.default_rng(seed)
    end = seconds * _SECOND_NS
    start = 0.0
    while True:
        times = start + np.cumsum(random.exponential(_SECOND_NS / rate, _CHUNK))
        start = float(times[-1])
        within = times[times < end]
        yield from within.astype(np.int64).tolist()
        if within.size < _CHUNK:
            return
