"""Which offset of a partition may be committed while its records finish in any order."""

from collections import deque


class OffsetTracker:
    """The records of one partition that were received and are not yet committable.

    A commit says "everything below is done", so it never passes the lowest unfinished record (`OffsetManager` in
    eventing-kafka-broker). Offsets may have gaps (compaction, transaction markers). All operations are O(1), amortised.
    """

    __slots__ = ("_finished", "_first", "_known", "_next", "_open")

    def __init__(self) -> None:
        self._open: deque[int] = deque()  # received offsets, ascending, from the lowest unfinished one on
        self._known: set[int] = set()  # the same, for look-up
        self._finished: set[int] = set()  # finished above the lowest unfinished one
        self._first: int | None = None
        self._next: int | None = None

    @property
    def committable(self) -> int | None:
        """The offset to read from after a restart; None until the first record received is finished."""
        lowest = self._lowest
        return None if lowest == self._first else lowest

    @property
    def _lowest(self) -> int | None:
        return self._open[0] if self._open else self._next

    @property
    def outstanding(self) -> int:
        """Records received and not finished."""
        return len(self._open) - len(self._finished)

    def is_rewind(self, offset: int) -> bool:
        """Whether the offset lies below all that is tracked: the log was truncated, or the topic made anew."""
        lowest = self._lowest
        return lowest is not None and offset < lowest

    def receive(self, offset: int) -> bool:
        """Take a record in.

        Returns:
            False for one that is in the works already.

        Raises:
            ValueError: The offset was finished before (see `is_rewind`).
        """
        if offset in self._known:
            return False
        if self._next is not None and offset < self._next:
            raise ValueError(f"offset {offset} after {self._next - 1}")
        if self._first is None:
            self._first = offset
        self._open.append(offset)
        self._known.add(offset)
        self._next = offset + 1
        return True

    def finish(self, offset: int) -> None:
        """Mark a received record as done.

        Raises:
            KeyError: It was not received, or is finished already.
        """
        if offset not in self._known or offset in self._finished:
            raise KeyError(offset)
        self._finished.add(offset)
        while self._open and self._open[0] in self._finished:
            lowest = self._open.popleft()
            self._finished.remove(lowest)
            self._known.remove(lowest)
