"""What can come of handling an event, whatever the host."""

import logging
import time
from collections import Counter as Counting
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from prometheus_client import Counter, Histogram
from pydantic import ValidationError

from shared.contracts import problems
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.telemetry import tracing

_log = logging.getLogger(__name__)

HANDLED: Final = Counter("fraud_events_handled_total", "Events taken in, by what came of them.", ["type", "outcome"])
HANDLING: Final = Histogram(
    "fraud_event_handling_seconds",
    "Time to handle one event.",
    ["type"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600),
)

Handle = Callable[[Event], Awaitable[None]]
"""Handles one event. Raises `PoisonEvent` or a validation error for one that can never be handled, and
`ServiceAway` when a backing service is away."""

HandleTogether = Callable[[Sequence[Event]], Awaitable[Sequence["Handled"]]]
"""Handles several events at once and says what came of each; raises `ServiceAway` when all have to come again."""


class ServiceAway(Exception):
    """A backing service is away; the event must come again."""


class Outcome(Enum):
    """What the host is to do with the event."""

    DONE = "done"
    POISON = "poison"
    RETRY = "retry"


class Handled(NamedTuple):
    """An outcome with its reason, for people; it never holds a value of the event."""

    outcome: Outcome
    reason: str = ""


async def run(handle: Handle, event: Event) -> Handled:
    """Handle one event and say what came of it. Raises nothing: an unforeseen error is logged and retried."""
    trace = tracing.continue_trace(event.traceparent)
    tracing.set_current(trace)
    started = time.perf_counter()
    handled = await _run(handle, event)
    handling, counted = _metrics(_known(event.type), handled.outcome.value)
    handling.observe(time.perf_counter() - started)
    counted.inc()
    if handled.outcome is not Outcome.DONE:
        level = logging.WARNING if handled.outcome is Outcome.RETRY else logging.ERROR
        _log.log(level, "event %s: %s", handled.outcome.value, handled.reason, extra={"event_id": event.id})
    elif trace.sampled:
        _log.info("event done", extra={"event_id": event.id, "event_type": event.type, "subject": event.subject})
    return handled


async def run_together(handle: HandleTogether, events: Sequence[Event]) -> list[Handled]:
    """Handle several events at once and say what came of each. Raises nothing, as `run`.

    Their traces are not continued: what takes them in together works on all of them at one time.
    """
    began = time.perf_counter()
    try:
        handled = list(await handle(events))
    except ServiceAway as away:
        handled = [Handled(Outcome.RETRY, str(away))] * len(events)
    except Exception:  # noqa: BLE001 - whatever it is, the events must come again, and the log says what it was
        _log.exception("%d events could not be handled", len(events))
        handled = [Handled(Outcome.RETRY, "unforeseen error, see the log")] * len(events)
    seconds = time.perf_counter() - began
    for event, one in zip(events, handled, strict=True):
        if one.outcome is not Outcome.DONE:
            level = logging.WARNING if one.outcome is Outcome.RETRY else logging.ERROR
            _log.log(level, "event %s: %s", one.outcome.value, one.reason, extra={"event_id": event.id})
    counts = Counting((_known(event.type), one.outcome.value) for event, one in zip(events, handled, strict=True))
    for (type_, outcome), number in counts.items():
        HANDLED.labels(type_, outcome).inc(number)
        HANDLING.labels(type_).observe(seconds / len(events))
    return handled


async def _run(handle: Handle, event: Event) -> Handled:
    try:
        await handle(event)
    except (PoisonEvent, ValidationError) as error:
        return poisoned(error)
    except ServiceAway as away:
        return Handled(Outcome.RETRY, str(away))
    except Exception:  # noqa: BLE001 - whatever it is, the event must come again, and the log says what it was
        _log.exception("an event could not be handled", extra={"event_id": event.id})
        return Handled(Outcome.RETRY, "unforeseen error, see the log")
    return Handled(Outcome.DONE)


def poisoned(error: PoisonEvent | ValidationError) -> Handled:
    """The outcome of an event that can never be handled."""
    detail = problems.from_validation(error).detail if isinstance(error, ValidationError) else str(error)
    return Handled(Outcome.POISON, detail)


@lru_cache  # looking labels up takes longer than counting
def _metrics(type_: str, outcome: str) -> tuple[Histogram, Counter]:
    return HANDLING.labels(type_), HANDLED.labels(type_, outcome)


def _known(type_: str) -> str:
    """Keep foreign types out of metric labels: anybody may send any number of them."""
    return type_ if type_.startswith(("dev.fraud.", "dev.knative.")) and len(type_) < 64 else "other"
