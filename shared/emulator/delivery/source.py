"""One KafkaSource: records in, requests out, offsets committed behind them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from shared.emulator.delivery.consumer import GroupConsumer
from shared.emulator.delivery.dead_letters import Failure, reduced, with_error
from shared.emulator.delivery.http_binding import HttpEvent, UnrepresentableRecord, to_http
from shared.emulator.delivery.lag import Key, LogPosition
from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.partition import AssignedPartition
from shared.emulator.delivery.plan import SourcePlan
from shared.emulator.delivery.record import Record
from shared.emulator.delivery.retry import Verdict
from shared.emulator.delivery.sender import NO_ANSWER_STATUS, Answer, Sender
from shared.emulator.delivery.sink_producer import SinkProducer, TooLargeForTopic
from shared.emulator.delivery.targets import Targets

_COMMIT_EVERY: Final = 0.2
_log = logging.getLogger(__name__)


class _Abandoned(Exception):
    """The record's partition is being given up before the record was settled."""


class KafkaSourceRunner:
    """Delivers the records of a source's topics to its sink, at least once.

    An ordered source has one record of a partition in hand at a time, retries included. An unordered one delivers all
    it holds side by side, and a record that waits for its retry takes no request slot. Both commit only up to the
    lowest record that is neither taken by the sink (2xx) nor acknowledged by the dead-letter topic. A dead letter that
    cannot be written is tried until it can: Knative would commit past it (`failedToSendToDeadLetterSink`).

    Args:
        plan: The source.
        sender: Makes the requests.
        targets: Knows the sink's address.
        metrics: Counts.
        dead_letters: Writes to the dead-letter topic; None when the source has none. Given-up records are then
            discarded and counted, as on a cluster.
    """

    def __init__(
        self,
        plan: SourcePlan,
        sender: Sender,
        targets: Targets,
        metrics: DeliveryMetrics,
        dead_letters: SinkProducer | None,
    ) -> None:
        self.plan = plan
        self.ready = False
        self._positions: dict[Key, LogPosition] = {}  # by the broker's word
        self._sender = sender
        self._targets = targets
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._partitions: dict[Key, AssignedPartition] = {}
        self._slots = asyncio.Semaphore(plan.max_in_flight)
        self._consumer = GroupConsumer(plan, self)
        self._committer: asyncio.Task[None] | None = None
        self._last_error: str | None = None
        self._delivered = self._retried = self._dead_lettered = self._in_flight = 0
        metrics.in_flight.labels(plan.name).set_function(lambda: self._in_flight)
        metrics.retried.labels(plan.name)

    def start(self) -> None:
        """Join the consumer group and deliver until `stop`."""
        self._committer = asyncio.create_task(self._commit_regularly())
        self._consumer.start()

    async def stop(self, grace: float) -> None:
        """Begin nothing more, give what is in flight `grace` seconds, commit what is done, leave the group."""
        for state in self._partitions.values():
            state.close()
        await _drain(list(self._partitions.values()), grace)
        await self._consumer.stop(grace)
        if self._committer is not None:
            self._committer.cancel()

    # What the consumer tells (GroupHandler).

    def assigned(self, keys: list[Key]) -> None:
        """Take partitions over."""
        self.ready = True
        if keys:
            _log.info("%s: assigned %s", self.plan.name, _names(keys))
        for key in keys:
            if key in self._partitions:
                self._partitions[key].close()
            self._partitions[key] = AssignedPartition()
            self._consumer.resume(key)  # a pause outlives the assignment it was made in

    async def revoked(self, keys: list[Key], grace: float) -> dict[Key, int]:
        """Give partitions up."""
        _log.info("%s: giving up %s", self.plan.name, _names(keys))
        states = {key: self._partitions.pop(key) for key in keys if key in self._partitions}
        for state in states.values():
            state.close()
        await _drain(list(states.values()), grace)
        return {key: offset for key, state in states.items() if (offset := state.tracker.committable) is not None}

    def receive(self, records: list[Record]) -> None:
        """Begin or queue the delivery of records."""
        for record in records:
            key = (record.topic, record.partition)
            state = self._partitions.get(key)
            if state is None or state.closing:
                continue
            if state.tracker.is_rewind(record.offset):
                _log.warning("%s: %s went back to offset %d", self.plan.name, _names([key]), record.offset)
                state.close()
                state = self._partitions[key] = AssignedPartition()
            if not state.tracker.receive(record.offset):
                continue
            if state.hold(record) and not state.paused:
                state.paused = True
                self._consumer.pause(key)
            if not self.plan.ordered:
                self._spawn(state, self._settle(state, record))
                continue
            state.waiting.append(record)
            if not state.working:
                state.working = True
                self._spawn(state, self._settle_in_order(state))

    def committed(self, offsets: Mapping[Key, int | None]) -> None:
        """Note the broker's answer; what it refused is requested again."""
        for key, offset in offsets.items():
            state = self._partitions.get(key)
            if offset is None and state is not None:
                state.requested = -1

    def positioned(self, positions: Mapping[Key, LogPosition]) -> None:
        """Note where the group stands."""
        self._positions.update(positions)
        for key, position in positions.items():
            self._metrics.lag.labels(self.plan.name, _names([key])).set(position.lag)

    def problem(self, message: str) -> None:
        """Note what the consumer met."""
        if message != self._last_error:
            _log.warning("%s: %s", self.plan.name, message)
        self._last_error = message

    def _spawn(self, state: AssignedPartition, delivery: Any) -> None:
        task = asyncio.create_task(delivery)
        state.tasks.add(task)
        task.add_done_callback(state.tasks.discard)
        task.add_done_callback(self._check)

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours: the record stays uncommitted, so the lag shows it and a restart tries it again.
            _log.error("%s: delivery broke off", self.plan.name, exc_info=error)
            self._last_error = f"{type(error).__name__}: {error}"

    async def _settle_in_order(self, state: AssignedPartition) -> None:
        try:
            while state.waiting:
                await self._settle(state, state.waiting.popleft())
        finally:
            state.working = False

    async def _settle(self, state: AssignedPartition, record: Record) -> None:
        """See one record through: to the sink, or to the dead letters."""
        try:
            try:
                event = to_http(record, self.plan.namespace, self.plan.name)
            except UnrepresentableRecord as error:
                failure: Failure | None = Failure("unrepresentable", self._destination(), 400, str(error).encode())
            else:
                failure = await self._deliver(state, event)
            if failure is not None:
                await self._give_up(state, record, failure)
            state.tracker.finish(record.offset)
        except _Abandoned:
            pass
        finally:
            if state.release(record) and state.paused and not state.closing:
                state.paused = False
                self._consumer.resume((record.topic, record.partition))

    async def _deliver(self, state: AssignedPartition, event: HttpEvent) -> Failure | None:
        policy = self.plan.retry
        retry = 0
        while True:
            answer = await self._attempt(state, event)
            verdict = Verdict.RETRY if answer.status is None else policy.judge(answer.status)
            if verdict is Verdict.DONE:
                self._delivered += 1
                self._metrics.delivered.labels(self.plan.name, str(answer.status)).inc()
                return None
            code = answer.status or NO_ANSWER_STATUS
            state.last_error = self._last_error = _describe(answer)
            if verdict is Verdict.REFUSED:
                return Failure("refused", self._destination(), code, answer.reason)
            if retry == policy.retry:
                return Failure("retries_exhausted", self._destination(), code, answer.reason)
            retry += 1
            if not await state.wait(policy.delay(retry, answer.retry_after)):
                raise _Abandoned
            self._retried += 1
            self._metrics.retried.labels(self.plan.name).inc()

    async def _attempt(self, state: AssignedPartition, event: HttpEvent) -> Answer:
        async with self._slots:
            if state.closing:
                raise _Abandoned
            self._in_flight += 1
            try:
                return await self._sender.post(self._targets.url(self.plan.sink), event, self.plan.retry.timeout)
            finally:
                self._in_flight -= 1

    async def _give_up(self, state: AssignedPartition, record: Record, failure: Failure) -> None:
        where = f"{record.topic}-{record.partition} offset {record.offset}"
        state.last_error = self._last_error = f"{failure.kind} ({failure.code}): {where}"
        if self._dead_letters is None or self.plan.dead_letters is None:
            self._metrics.discarded.labels(self.plan.name).inc()
            _log.error("%s: %s discarded, %s (%d)", self.plan.name, where, failure.kind, failure.code)
            return
        topic = self.plan.dead_letters.topic
        headers = with_error(record, self.plan.name, failure)
        try:
            await self._dead_letters.write(topic, record.key, record.value, headers)
        except TooLargeForTopic:
            key, headers = reduced(record, self.plan.name, failure)
            await self._dead_letters.write(topic, key, None, headers)
        self._dead_lettered += 1
        self._metrics.dead_lettered.labels(self.plan.name, failure.kind).inc()
        _log.warning("%s: %s is a dead letter, %s (%d)", self.plan.name, where, failure.kind, failure.code)

    def _destination(self) -> str:
        return self._targets.url(self.plan.sink) or self.plan.sink.service

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY)
            offsets: dict[Key, int] = {}
            for key, state in self._partitions.items():
                offset = state.tracker.committable
                if offset is not None and offset > state.requested:
                    offsets[key] = state.requested = offset
            if offsets:
                self._consumer.commit(offsets)

    def status(self) -> dict[str, Any]:
        """Describe the source for `/status`."""
        keys = sorted(self._partitions.keys() | self._positions.keys())
        partitions = {_names([key]): self._partition_status(key) for key in keys}
        return {
            "ready": self.ready,
            "sink": self._destination(),
            "topics": list(self.plan.topics),
            "group": self.plan.group,
            "ordering": "ordered" if self.plan.ordered else "unordered",
            "lag": sum(partition["lag"] or 0 for partition in partitions.values()),
            "in_flight": self._in_flight,
            "delivered": self._delivered,
            "retried": self._retried,
            "dead_lettered": self._dead_lettered,
            "last_error": self._last_error,
            "partitions": partitions,
        }

    def _partition_status(self, key: Key) -> dict[str, Any]:
        position = self._positions.get(key)
        state = self._partitions.get(key)
        return {
            "assigned": state is not None,
            "committed": position.committed if position else None,
            "end": position.end if position else None,
            "lag": position.lag if position else None,
            "held": state.held if state else 0,
            "paused": state.paused if state else False,
            "last_error": state.last_error if state else None,
        }


async def _drain(states: list[AssignedPartition], grace: float) -> None:
    """Wait for what is in flight, then break it off."""
    tasks = {task for state in states for task in state.tasks}
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


def _describe(answer: Answer) -> str:
    if answer.status is not None:
        return f"the sink answered {answer.status}"
    return answer.reason.decode(errors="replace")


def _names(keys: list[Key]) -> str:
    return ", ".join(f"{topic}-{number}" for topic, number in sorted(keys))
