"""The open loop: every delivery is sent at its intended time, whatever became of the ones before it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Final, Protocol

import orjson

from functions.producer.switch import Answer, StandIn
from functions.producer.tally import IN_FLIGHT, Tally
from functions.producer.timetable import Timetable
from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.simulation.stream import Delivery, Kind
from shared.telemetry import tracing

SOURCE: Final = "/fraud/producer"
_EXHAUSTED: Final[list[Delivery]] = []


class Ending(StrEnum):
    """Why the sending ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    CAUGHT_UP = "event time has caught up with the clock"


class Bus(Protocol):
    """Where events go; `shared.bus.publisher.Publisher` in production."""

    def publish(self, items: Sequence[tuple[str, Event]]) -> None:
        """Take events over without waiting."""


class Asker(Protocol):
    """Who is asked; `switch.Switch` in production."""

    async def ask(self, body: bytes, traceparent: str) -> Answer:
        """Answer within a time budget."""


class Producer:
    """Sends one stream: events to the bus, and each transaction to the scorer for its decision."""

    def __init__(
        self,
        batches: Iterator[list[Delivery]],
        bus: Bus,
        asker: Asker | None,
        *,
        max_in_flight: int,
        tally: Tally | None = None,
    ) -> None:
        """Put a producer together.

        Args:
            batches: Deliveries in order of their due time.
            bus: Takes the events.
            asker: Gives the decisions; None publishes only.
            max_in_flight: Most open questions; beyond it the switch stands in.
            tally: Counts what happens.
        """
        self._batches = batches
        self._bus = bus
        self._asker = asker
        self._max_in_flight = max_in_flight
        self._questions: set[asyncio.Task[None]] = set()
        self.tally = tally or Tally()

    async def run(
        self, timetable: Callable[[], Timetable], stop: asyncio.Event, latest_ms: Callable[[], int] | None = None
    ) -> Ending:
        """Send until the stream ends, `stop` is set, or event time reaches `latest_ms`; returns which it was.

        Questions that are open then are still answered.

        Args:
            timetable: Called once when the first deliveries are ready: making the world must not eat into the schedule.
            stop: Ends the sending.
            latest_ms: Event time that must not be passed (the clock); None sets no bound.
        """
        ending = await self._send_all(timetable, stop, latest_ms)
        await asyncio.gather(*self._questions)
        return ending

    async def _send_all(
        self, timetable: Callable[[], Timetable], stop: asyncio.Event, latest_ms: Callable[[], int] | None
    ) -> Ending:
        loop = asyncio.get_running_loop()
        schedule: Timetable | None = None
        async with aclosing(self._ahead()) as deliveries:
            async for delivery in deliveries:
                schedule = schedule or timetable()
                intended = schedule.intended(delivery.due_ms)
                await _until(intended, stop)
                if stop.is_set():
                    return Ending.STOPPED
                if latest_ms is not None and delivery.due_ms > latest_ms():
                    return Ending.CAUGHT_UP
                now = loop.time()
                self.tally.delivered(delivery, now - schedule.origin, now - intended)
                self._send(delivery, intended)
        return Ending.COMPLETE

    async def _ahead(self) -> AsyncGenerator[Delivery, None]:
        """Yield deliveries, the next batch being made in a thread while the present one is sent."""
        coming = asyncio.create_task(asyncio.to_thread(next, self._batches, _EXHAUSTED))
        try:
            while (batch := await coming) is not _EXHAUSTED:
                coming = asyncio.create_task(asyncio.to_thread(next, self._batches, _EXHAUSTED))
                for delivery in batch:
                    yield delivery
        finally:
            await asyncio.wait([coming])

    def _send(self, delivery: Delivery, intended: float) -> None:
        trace = tracing.start_trace(sampled=False)
        body = orjson.dumps(delivery.document)
        self._bus.publish([_event(delivery, body, trace.traceparent)])
        if self._asker is None or delivery.kind is Kind.LABEL:
            return
        if len(self._questions) >= self._max_in_flight:
            self.tally.answered(delivery, Answer(None, StandIn.BUSY), 0.0)
            return
        question = asyncio.create_task(self._ask(self._asker, delivery, body, trace.traceparent, intended))
        self._questions.add(question)
        IN_FLIGHT.set(len(self._questions))
        question.add_done_callback(self._closed)

    async def _ask(self, asker: Asker, delivery: Delivery, body: bytes, traceparent: str, intended: float) -> None:
        answer = await asker.ask(body, traceparent)
        self.tally.answered(delivery, answer, asyncio.get_running_loop().time() - intended)

    def _closed(self, question: asyncio.Task[None]) -> None:
        self._questions.discard(question)
        IN_FLIGHT.set(len(self._questions))


async def _until(moment: float, stop: asyncio.Event) -> None:
    """Wait for a moment of the loop's clock, or less when `stop` is set."""
    seconds = moment - asyncio.get_running_loop().time()
    if seconds <= 0:
        await asyncio.sleep(0)  # behind the schedule, answers must still be read
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _event(delivery: Delivery, body: bytes, traceparent: str) -> tuple[str, Event]:
    document = delivery.document
    label = delivery.kind is Kind.LABEL
    event = Event(
        id=f"{document['transaction_id']}/label" if label else document["transaction_id"],
        source=SOURCE,
        type=cloudevents.LABEL if label else cloudevents.TRANSACTION,
        data=body,
        subject=document["transaction_id"],
        time=document["label_time" if label else "timestamp"],
        partition_key=document["card_id"],
        traceparent=traceparent,
    )
    return (topics.LABELS if label else topics.TRANSACTIONS), event
