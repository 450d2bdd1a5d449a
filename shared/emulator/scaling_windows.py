"""Sliding windows of the autoscaler: averages of one-second buckets, and the maximum of recent decisions."""

import math
from collections import deque


class WindowAverage:
    """Average of a value over a window of one-second buckets.

    As knative/serving, pkg/autoscaler/aggregation/bucketing.go (`TimedFloat64Buckets`): values of one second add up; a
    window that has just begun, or whose latest seconds brought nothing yet, is averaged over the seconds that it has;
    a gap inside counts as zero; after a whole window without data it begins anew.

    Args:
        window: Length in seconds, rounded up to whole ones.
    """

    def __init__(self, window: float) -> None:
        self._size = math.ceil(window)
        self._seconds: dict[int, float] = {}
        self._first: int | None = None
        self._last: int | None = None

    def record(self, now: float, value: float) -> None:
        """Add `value` to the second of `now`."""
        second = math.floor(now)
        if self._first is None or self._last is None or second - self._last >= self._size:
            self._first = self._last = second
            self._seconds = {second: value}
            return
        if second + self._size <= self._last:
            return  # older than the window
        self._first = min(self._first, second)
        self._last = max(self._last, second)
        self._seconds[second] = self._seconds.get(second, 0.0) + value
        oldest = self._last - self._size
        self._seconds = {at: kept for at, kept in self._seconds.items() if at > oldest}

    def empty(self, now: float) -> bool:
        """Whether nothing came for longer than the window."""
        return self._last is None or math.floor(now) - self._last > self._size

    def average(self, now: float) -> float:
        """The average at `now`, cut to six decimals; 0 when the window holds nothing."""
        if self._first is None or self._last is None:
            return 0.0
        missing = max(math.floor(now) - self._last, 0)
        if missing >= self._size:
            return 0.0
        oldest = self._last + missing - self._size
        total = sum(value for at, value in self._seconds.items() if at > oldest)
        seconds = min(self._last - self._first + 1, self._size - missing)
        return math.floor(total / seconds * 1e6) / 1e6


class WindowMaximum:
    """Largest decision within a delay, which so puts off scaling down.

    As knative/serving, pkg/autoscaler/aggregation/max: one slot per tick, the larger of two in one slot.

    Args:
        delay: Length of the window in seconds.
        tick: Length of a slot in seconds.
    """

    def __init__(self, delay: float, tick: float) -> None:
        self._slots = math.ceil(delay / tick)
        self._tick = tick
        self._kept: deque[tuple[int, int]] = deque()

    def record(self, now: float, value: int) -> int:
        """Add a decision and return the largest one in the window."""
        slot = math.floor(now / self._tick)
        while self._kept and self._kept[-1][1] <= value:
            self._kept.pop()
        while self._kept and slot - self._kept[0][0] >= self._slots:
            self._kept.popleft()
        if not self._kept or self._kept[-1][0] != slot:
            self._kept.append((slot, value))
        return self._kept[0][1]
