"""AWS Lambda's Kafka trigger: batches of records, with partial batch responses.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html and services-kafka-batch-failures. Lambda delivers
again from the first failed record of each partition on, so a partition is worked off in order up to its first failure.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.aws_events import ForeignEvent
from shared.hosts.outcome import Handle, Handled, HandleTogether, Outcome, ServiceAway, run, run_together

if TYPE_CHECKING:
    from shared.bus.dead_letters import DeadLetterTopic

_log = logging.getLogger(__name__)
EVENT_SOURCES: Final = ("aws:SelfManagedKafka", "aws:kafka")
_TOGETHER: Final = 128
"""Most events that are handled at once: more would keep the feature store from scorers for milliseconds."""


@dataclass(frozen=True, slots=True)
class PoisonRecord:
    """A record that can never be handled, as it came, with the reason."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    reason: str


DeadLetter = Callable[[PoisonRecord], Awaitable[None]]
"""Puts a poison record where people find it; returns once it is safe there, raises `ServiceAway` when it is not."""


class KafkaTrigger:
    """The Lambda face of an event-triggered function.

    Poison records go to the dead-letter topic, as Knative's delivery puts them there on the other hosts.

    Args:
        handle: Handles one event.
        bootstrap_servers: Kafka, for the dead letters; not connected to before there is one.
        together: Handles many events of a partition at once, where the function has a faster way to. Events after
            the first failed one may then be done already when they come again.
    """

    def __init__(self, handle: Handle, bootstrap_servers: str, together: HandleTogether | None = None) -> None:
        self._handle = handle
        self._together = together
        self._bootstrap_servers = bootstrap_servers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dead_letters: DeadLetterTopic | None = None

    def __call__(self, event: Any) -> dict[str, Any]:
        """Handle one invocation; see `handle_batch`."""
        if self._loop is None:
            # Connections belong to their event loop, so one loop serves all invocations of this process.
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(handle_batch(event, self._handle, self._put_aside, self._together))

    async def _put_aside(self, record: PoisonRecord) -> None:
        # librdkafka only when it is needed
        from confluent_kafka import KafkaException  # noqa: PLC0415

        from shared.bus.dead_letters import DeadLetterTopic  # noqa: PLC0415

        if self._dead_letters is None:
            self._dead_letters = DeadLetterTopic(self._bootstrap_servers)
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        try:
            await self._dead_letters.put(record.key, record.value, record.headers, record.reason, origin)
        except (BufferError, KafkaException) as error:
            raise ServiceAway("Kafka does not take dead letters") from error


def is_kafka_batch(event: Any) -> bool:
    """Tell whether an invocation is a Kafka trigger's."""
    return isinstance(event, Mapping) and event.get("eventSource") in EVENT_SOURCES


async def handle_batch(
    event: Any, handle: Handle, dead_letter: DeadLetter, together: HandleTogether | None = None
) -> dict[str, Any]:
    """Handle one invocation; partitions side by side, each in the order of its offsets.

    Args:
        event: The invocation's payload.
        handle: Handles one event.
        dead_letter: Takes the records that can never be handled.
        together: Handles many events at once; without it each is handled before the next.

    Returns:
        ``{"batchItemFailures": [...]}`` with the first record of each partition that must come again.

    Raises:
        ForeignEvent: The payload is not a Kafka trigger's.
    """
    if not is_kafka_batch(event) or not isinstance(event.get("records"), Mapping):
        raise ForeignEvent("not an event of a Kafka trigger: eventSource or records is missing")
    failures = await asyncio.gather(
        *[_handle_partition(name, records, handle, dead_letter, together) for name, records in event["records"].items()]
    )
    return {"batchItemFailures": [failure for failure in failures if failure is not None]}


async def _handle_partition(
    name: str,
    records: list[Mapping[str, Any]],
    handle: Handle,
    dead_letter: DeadLetter,
    together: HandleTogether | None,
) -> dict[str, Any] | None:
    size = 1 if together is None else _TOGETHER
    in_order = sorted(records, key=lambda record: int(record["offset"]))
    for start in range(0, len(in_order), size):
        some = [_Read.of(record) for record in in_order[start : start + size]]
        for read, handled in zip(some, await _handle_some(some, handle, together), strict=True):
            if await _settled(read, handled, dead_letter) is Outcome.RETRY:
                return {"itemIdentifier": {"partition": name, "offset": int(read.record["offset"])}}
    return None


@dataclass(frozen=True, slots=True)
class _Read:
    """A record with the event in it, or why there is none."""

    record: Mapping[str, Any]
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    event: Event | None = None
    reason: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        key = value = None
        headers: list[tuple[str, bytes]] = []
        try:
            key, value = _decode(record, "key"), _decode(record, "value")
            headers = _headers(record)
            return cls(record, key, value, headers, cloudevents.from_kafka(key, value, headers))
        except PoisonEvent as poison:
            return cls(record, key, value, headers, reason=str(poison))


async def _handle_some(reads: Sequence[_Read], handle: Handle, together: HandleTogether | None) -> list[Handled]:
    events = [read.event for read in reads if read.event is not None]
    if not events:
        done = []
    elif together is None:
        done = [await run(handle, event) for event in events]
    else:
        done = await run_together(together, events)
        if len(events) > 1 and all(handled.outcome is Outcome.RETRY for handled in done):
            done = await _until_failure(together, events)
    outcomes = iter(done)
    return [Handled(Outcome.POISON, read.reason) if read.event is None else next(outcomes) for read in reads]


async def _until_failure(together: HandleTogether, events: Sequence[Event]) -> list[Handled]:
    """Handle events one by one up to the first that must come again: one of them may be all that is wrong."""
    done: list[Handled] = []
    for event in events:
        done += await run_together(together, [event])
        if done[-1].outcome is Outcome.RETRY:
            break
    return done + done[-1:] * (len(events) - len(done))


async def _settled(read: _Read, handled: Handled, dead_letter: DeadLetter) -> Outcome:
    """Put a poison record aside; what is to be done with the record then."""
    if handled.outcome is not Outcome.POISON:
        return handled.outcome
    record = read.record
    place = str(record["topic"]), int(record["partition"]), int(record["offset"])
    try:
        await dead_letter(PoisonRecord(*place, read.key, read.value, read.headers, handled.reason))
    except ServiceAway as away:
        _log.warning("a poison record was not put aside and comes again: %s", away)
        return Outcome.RETRY
    return Outcome.POISON


def _decode(record: Mapping[str, Any], name: str) -> bytes | None:
    encoded = record.get(name)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise PoisonEvent(f"{name} is not base64") from None


def _headers(record: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Read headers: a list of one-entry objects whose values are lists of signed or unsigned bytes."""
    headers = []
    try:
        for entry in record.get("headers") or []:
            headers += [(name, _unsigned(numbers)) for name, numbers in entry.items()]
    except (AttributeError, TypeError):
        raise PoisonEvent("headers are not a list of objects whose values are lists of bytes") from None
    return headers


def _unsigned(numbers: list[int]) -> bytes:
    try:
        return bytes(iter(numbers))  # of a number alone `bytes` would make so many zeros
    except ValueError:  # signed ones
        return bytes(number & 0xFF for number in numbers)
