"""What a source knows of one partition that is assigned to it."""

import asyncio
import contextlib
from collections import deque
from typing import Final

from shared.emulator.delivery.offsets import OffsetTracker
from shared.emulator.delivery.record import Record

MAX_RECORDS: Final = 1_000
MAX_BYTES: Final = 4 * 1024 * 1024
"""Bounds of what is kept of one partition, waiting, in flight or between retries; above it the partition is paused."""


class AssignedPartition:
    """State of a partition from its assignment to its revocation.

    Attributes:
        tracker: Which offset may be committed.
        waiting: Records not yet begun, of an ordered source.
        tasks: Deliveries under way.
        working: An ordered source is at the `waiting` ones.
        paused: No more records are asked for.
        requested: Offset of the last commit that was sent, -1 before the first.
        last_error: What the latest unsuccessful attempt brought.
    """

    def __init__(self) -> None:
        self.tracker = OffsetTracker()
        self.waiting: deque[Record] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.working = False
        self.paused = False
        self.requested = -1
        self.last_error: str | None = None
        self._closing = asyncio.Event()
        self._records = 0
        self._bytes = 0

    @property
    def closing(self) -> bool:
        """No new attempt may begin."""
        return self._closing.is_set()

    @property
    def held(self) -> int:
        """Records kept."""
        return self._records

    def hold(self, record: Record) -> bool:
        """Count a record in; True when the bounds are reached."""
        self._records += 1
        self._bytes += record.size
        return self._records >= MAX_RECORDS or self._bytes >= MAX_BYTES

    def release(self, record: Record) -> bool:
        """Count a record out; True when there is room for more (half of the bounds, so that it does not flutter)."""
        self._records -= 1
        self._bytes -= record.size
        return self._records <= MAX_RECORDS // 2 and self._bytes <= MAX_BYTES // 2

    async def wait(self, seconds: float) -> bool:
        """Sleep; False when the partition is being given up."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return not self.closing

    def close(self) -> None:
        """Begin nothing more; what is in flight may finish."""
        self._closing.set()
        self.waiting.clear()
