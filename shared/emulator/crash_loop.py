"""Delays between restarts of what keeps failing."""

from time import monotonic

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_PROVEN_SECONDS = 10.0


class CrashLoop:
    """Counts restarts and says how long to wait before the next.

    What ran for a while is started again at once. What fails soon after its start waits: half a second, then twice as
    long each time, at most 30 s (a kubelet does the same on a scale of minutes).
    """

    def __init__(self) -> None:
        self.restarts = 0
        self.reason: str | None = None
        self._in_a_row = 0
        self._next = 0.0

    @property
    def failing(self) -> bool:
        """Whether several starts in a row failed."""
        return self._in_a_row >= 3

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start."""
        return max(0.0, self._next - monotonic())

    def crashed(self, reason: str, lived: float, *, was_ready: bool) -> None:
        """Take note of an end that nobody asked for.

        Args:
            reason: Why it ended.
            lived: Seconds since its start.
            was_ready: Whether it ever served.
        """
        self.restarts += 1
        self.reason = reason
        if was_ready and (lived >= _PROVEN_SECONDS or self._in_a_row == 0):
            self._in_a_row = 0 if lived >= _PROVEN_SECONDS else 1
            self._next = 0.0
            return
        self._in_a_row += 1
        self._next = monotonic() + min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self._in_a_row - 1))

    def recovered(self) -> None:
        """Take note of a start that succeeded."""
        self.reason = None
