"""The traffic, day by day: what was sent, what was answered, and what the answers were worth."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp

from functions.producer.producer import Producer
from functions.producer.switch import Answer, Switch
from functions.producer.tally import Tally
from functions.producer.timetable import Timetable
from shared.bus.publisher import Publisher
from shared.simulation.config import DAY_MS
from shared.simulation.stream import Delivery, Kind, LiveStream
from tests.e2e.lifecycle.plan import Plan

_BUDGET_SECONDS = 10.0
_IN_FLIGHT = 64
_BATCH = 256


@dataclass(frozen=True, slots=True)
class EvenPace(Timetable):
    """A timetable that sends a day's deliveries at one pace: nights are as busy as noons.

    Attributes:
        due_ms: When each delivery is due, ascending.
        rate: Deliveries per second.
    """

    due_ms: tuple[int, ...] = ()
    rate: float = 1.0

    def intended(self, due_ms: int) -> float:
        """Return the clock reading at which something due at an event time is to be sent."""
        return self.origin + bisect_left(self.due_ms, due_ms) / self.rate


class DayTally(Tally):
    """Counts frauds and alerts per day of event time as well, and remembers what was declined.

    A would-be decline that the control group let through counts as found.
    """

    def __init__(self, start_ms: int) -> None:
        super().__init__()
        self._start_ms = start_ms
        self.frauds: dict[str, Counter[int]] = defaultdict(Counter)
        self.found: dict[str, Counter[int]] = defaultdict(Counter)
        self.declined: set[str] = set()
        self.control = 0

    def answered(self, delivery: Delivery, answer: Answer, seconds: float) -> None:
        """Count what came of a question."""
        super().answered(delivery, answer, seconds)
        self.control += answer.control
        if answer.decision == "decline":
            self.declined.add(delivery.document["transaction_id"])
        if delivery.kind is Kind.TRANSACTION and delivery.pattern is not None and answer.decision is not None:
            day = (delivery.due_ms - self._start_ms) // DAY_MS
            self.frauds[delivery.pattern][day] += 1
            self.found[delivery.pattern][day] += answer.control or answer.decision != "approve"

    def recall(self, pattern: str, first: int, until: int) -> float | None:
        """Return the share of a pattern's frauds found on the days from one on and before another; None without any."""
        frauds, found = (sum(side[pattern][day] for day in range(first, until)) for side in (self.frauds, self.found))
        return found / frauds if frauds else None


class DailyTraffic:
    """Sends one day of event time after another. A declined transaction never gets a label: it never happened."""

    def __init__(self, plan: Plan, kafka: str, scorer_url: str) -> None:
        self._plan = plan
        self._scorer_url = scorer_url
        self._bus = Publisher(kafka, buffer_events=50_000)
        self._batches = LiveStream(plan.traffic).batches()
        self._rest: list[Delivery] = []
        self._day = 0
        self.tally = DayTally(plan.start_ms)

    def send_day(self) -> None:
        """Send the next day, and return when everything is answered and in Kafka.

        Raises:
            RuntimeError: Kafka does not take the events.
        """
        deliveries = self._next_day()
        asyncio.run(self._send(deliveries))
        if left := self._bus.drain(60):
            raise RuntimeError(f"{left} events have not reached Kafka")

    def _next_day(self) -> list[Delivery]:
        self._day += 1
        end_ms = self._plan.midnight_ms(self._day)
        deliveries = self._rest
        while not deliveries or deliveries[-1].due_ms < end_ms:
            deliveries += next(self._batches)
        until = bisect_left(deliveries, end_ms, key=lambda delivery: delivery.due_ms)
        deliveries, self._rest = deliveries[:until], deliveries[until:]
        return deliveries

    async def _send(self, deliveries: list[Delivery]) -> None:
        due = tuple(delivery.due_ms for delivery in deliveries)
        connector = aiohttp.TCPConnector(limit=_IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector) as session:
            switch = Switch(session, self._scorer_url, _BUDGET_SECONDS)
            producer = Producer(
                self._with_possible_labels(deliveries), self._bus, switch, max_in_flight=10**6, tally=self.tally
            )
            loop = asyncio.get_running_loop()
            await producer.run(
                lambda: EvenPace(due[0], loop.time(), 1.0, due, self._plan.rate),
                asyncio.Event(),
            )

    def _with_possible_labels(self, deliveries: list[Delivery]) -> Iterator[list[Delivery]]:
        for begin in range(0, len(deliveries), _BATCH):
            batch = deliveries[begin : begin + _BATCH]
            possible = [
                one
                for one in batch
                if one.kind is not Kind.LABEL or one.document["transaction_id"] not in self.tally.declined
            ]
            yield possible
