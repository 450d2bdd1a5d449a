"""W3C Trace Context: one trace from the request through Kafka to every function behind it."""

import random
import re
from contextvars import ContextVar
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_current: ContextVar["Trace | None"] = ContextVar("trace", default=None)


class Trace(NamedTuple):
    """The trace that the running request or event belongs to."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        """The header value that hands the trace on, with this span as the parent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def sampled(self) -> bool:
        """The caller asks to record this trace: every function logs a line for it."""
        return self.flags[1] in "13579bdf"


def continue_trace(traceparent: str | None) -> Trace:
    """Continue the caller's trace in a new span, or start an unsampled one where there is none or a malformed one.

    Source: W3C Trace Context Level 1, section 3.2 (invalid values restart the trace, unknown versions are read as 00).
    """
    if traceparent is not None:
        match = _TRACEPARENT.fullmatch(traceparent)
        if match is not None:
            version, trace_id, parent_id, flags, more = match.groups()
            known = version != "ff" and not (version == "00" and more)
            if known and trace_id != "0" * 32 and parent_id != "0" * 16:
                return Trace(trace_id, f"{random.getrandbits(64) or 1:016x}", flags)
    return start_trace(sampled=False)


def start_trace(*, sampled: bool) -> Trace:
    """Start a trace of our own."""
    # Ids must be unique, not secret: the fast generator will do.
    ids = f"{random.getrandbits(192):048x}"
    return Trace(ids[:32], ids[32:], "01" if sampled else "00")


def set_current(trace: Trace | None) -> None:
    """Make the trace the current one of this task; log lines carry its id."""
    _current.set(trace)


def current() -> Trace | None:
    """Return the trace of this task."""
    return _current.get()
