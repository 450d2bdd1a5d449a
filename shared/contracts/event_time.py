"""Times as UTC milliseconds since 1970, written as RFC 3339."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_milliseconds(moment: datetime) -> int:
    """Convert an aware datetime to UTC milliseconds, rounding down."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def to_rfc3339(milliseconds: int) -> str:
    """Write UTC milliseconds as RFC 3339 with three decimals and ``Z``."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_to_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1024)  # live traffic is of the same few seconds
def _to_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def now_milliseconds() -> int:
    """Return the wall clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000
