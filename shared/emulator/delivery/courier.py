"""Sees single records through: to the sink, or to the dead letters."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from shared.emulator.delivery.connection import Answer
from shared.emulator.delivery.dead_letters import Failure, reduced, with_error
from shared.emulator.delivery.http_binding import HttpEvent, UnrepresentableRecord, to_http
from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.partition import AssignedPartition
from shared.emulator.delivery.plan import SourcePlan
from shared.emulator.delivery.record import Record
from shared.emulator.delivery.retry import Verdict
from shared.emulator.delivery.sender import NO_ANSWER_STATUS, Sender
from shared.emulator.delivery.sink_producer import SinkProducer, TooLargeForTopic
from shared.emulator.delivery.targets import Targets

_log = logging.getLogger(__name__)


class Abandoned(Exception):
    """The partition was given up before the record was settled; whoever gets the partition starts over."""


class Courier:
    """Delivers records of one source.

    A record that waits for its retry, or for the dead-letter topic, takes no request slot. A dead letter that cannot
    be written is tried until it can: Knative would commit past it (`failedToSendToDeadLetterSink`).

    Args:
        plan: The source.
        sender: Makes the requests.
        targets: Knows the sink's address.
        metrics: Counts.
        dead_letters: Writes to the dead-letter topic; None when the source has none. Given-up records are then
            discarded and counted, as on a cluster.
        when_idle: Called when a record begins to wait for something else than its request.

    Attributes:
        busy: Deliveries that have or want a request slot; the source counts them in and out, rests excepted.
        in_flight: Requests under way.
        delivered: Records that the sink took.
        retried: Attempts after a first one.
        dead_lettered: Records that the dead-letter topic took.
        last_error: What the latest unsuccessful attempt brought.
    """

    def __init__(
        self,
        plan: SourcePlan,
        sender: Sender,
        targets: Targets,
        metrics: DeliveryMetrics,
        dead_letters: SinkProducer | None,
        when_idle: Callable[[], None],
    ) -> None:
        self.busy = self.in_flight = self.delivered = self.retried = self.dead_lettered = 0
        self.last_error: str | None = None
        self._plan = plan
        self._sender = sender
        self._targets = targets
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._when_idle = when_idle
        self._slots = asyncio.Semaphore(plan.max_in_flight)
        self._delivered_by_status: dict[int | None, Counter] = {}

    @property
    def destination(self) -> str:
        """The sink's address, or its name while it has none."""
        return self._targets.url(self._plan.sink) or self._plan.sink.service

    async def settle(self, state: AssignedPartition, record: Record) -> None:
        """Return once the sink or the dead-letter topic has the record.

        Raises:
            Abandoned: The partition is being given up.
        """
        try:
            event = to_http(record, self._plan.namespace, self._plan.name)
        except UnrepresentableRecord as error:
            failure: Failure | None = Failure("unrepresentable", self.destination, 400, str(error).encode())
        else:
            failure = await self._deliver(state, event)
        if failure is not None:
            with self._at_rest():
                await self._give_up(state, record, failure)

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        self.busy -= 1
        self._when_idle()
        try:
            yield
        finally:
            self.busy += 1

    async def _deliver(self, state: AssignedPartition, event: HttpEvent) -> Failure | None:
        policy = self._plan.retry
        retry = 0
        while True:
            answer = await self._attempt(state, event)
            verdict = Verdict.RETRY if answer.status is None else policy.judge(answer.status)
            if verdict is Verdict.DONE:
                self._count_delivered(answer.status)
                return None
            code = answer.status or NO_ANSWER_STATUS
            state.last_error = self.last_error = _describe(answer)
            if verdict is Verdict.REFUSED:
                return Failure("refused", self.destination, code, answer.reason)
            if retry == policy.retry:
                return Failure("retries_exhausted", self.destination, code, answer.reason)
            retry += 1
            with self._at_rest():
                if not await state.wait(policy.delay(retry)):
                    raise Abandoned
            self.retried += 1
            self._metrics.retried.labels(self._plan.name).inc()

    async def _attempt(self, state: AssignedPartition, event: HttpEvent) -> Answer:
        async with self._slots:
            if state.closing:
                raise Abandoned
            self.in_flight += 1
            try:
                return await self._sender.post(self._targets.url(self._plan.sink), event, self._plan.retry.timeout)
            finally:
                self.in_flight -= 1

    def _count_delivered(self, status: int | None) -> None:
        self.delivered += 1
        counter = self._delivered_by_status.get(status)
        if counter is None:
            counter = self._metrics.delivered.labels(self._plan.name, str(status))
            self._delivered_by_status[status] = counter
        counter.inc()

    async def _give_up(self, state: AssignedPartition, record: Record, failure: Failure) -> None:
        where = f"{record.topic}-{record.partition} offset {record.offset}"
        state.last_error = self.last_error = f"{failure.kind} ({failure.code}): {where}"
        if self._dead_letters is None or self._plan.dead_letters is None:
            self._metrics.discarded.labels(self._plan.name).inc()
            _log.error("%s: %s discarded, %s (%d)", self._plan.name, where, failure.kind, failure.code)
            return
        topic = self._plan.dead_letters.topic
        headers = with_error(record, self._plan.name, failure)
        try:
            await self._dead_letters.write(topic, record.key, record.value, headers)
        except TooLargeForTopic:
            key, headers = reduced(record, self._plan.name, failure)
            await self._dead_letters.write(topic, key, None, headers)
        self.dead_lettered += 1
        self._metrics.dead_lettered.labels(self._plan.name, failure.kind).inc()
        _log.warning("%s: %s is a dead letter, %s (%d)", self._plan.name, where, failure.kind, failure.code)


def _describe(answer: Answer) -> str:
    if answer.status is not None:
        return f"the sink answered {answer.status}"
    return answer.reason.decode(errors="replace")
