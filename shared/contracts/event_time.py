"""Times as UTC milliseconds since 1970, written as RFC 3339."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_milliseconds(moment: datetime) -> int:
    """Convert an aware datetime to UTC milliseconds, rounding down."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def to_rfc3339(milliseconds: int) -> str:
    """Write UTC milliseconds as RFC 3339 with three decimals and ``Z``."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def now_milliseconds() -> int:
    """Return the wall clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000
