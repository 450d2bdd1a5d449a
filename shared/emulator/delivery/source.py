"""One KafkaSource: records in, deliveries out, offsets committed behind them."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from shared.emulator.delivery.consumer import GroupConsumer
from shared.emulator.delivery.courier import Abandoned, Courier
from shared.emulator.delivery.lag import Key, LogPosition
from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.partition import AssignedPartition
from shared.emulator.delivery.plan import SourcePlan
from shared.emulator.delivery.record import Record
from shared.emulator.delivery.sender import Sender
from shared.emulator.delivery.sink_producer import SinkProducer
from shared.emulator.delivery.targets import Targets

_COMMIT_EVERY: Final = 0.2
_log = logging.getLogger(__name__)


class KafkaSourceRunner:
    """Delivers the records of a source's topics to its sink, at least once.

    An ordered source has one record of a partition in hand at a time, retries included. An unordered one delivers
    side by side what it holds, and goes on while a record waits for its retry. Both commit only up to the lowest
    record that is neither taken by the sink (2xx) nor acknowledged by the dead-letter topic.

    Args:
        plan: The source.
        sender: Makes the requests.
        targets: Knows the sink's address.
        metrics: Counts.
        dead_letters: Writes to the dead-letter topic; None when the source has none.
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
        self._metrics = metrics
        self._courier = Courier(plan, sender, targets, metrics, dead_letters, self._begin_waiting)
        self._consumer = GroupConsumer(plan, self)
        self._partitions: dict[Key, AssignedPartition] = {}
        self._positions: dict[Key, LogPosition] = {}
        self._problems: set[str] = set()  # told since the broker last answered
        self._committer: asyncio.Task[None] | None = None
        metrics.in_flight.labels(plan.name).set_function(lambda: self._courier.in_flight)
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
            state.waiting.append(record)
            if self.plan.ordered and not state.working:
                state.working = True
                self._spawn(state, self._settle_in_order(state))
        self._begin_waiting()

    def committed(self, offsets: Mapping[Key, int | None]) -> None:
        """Note the broker's answer; what it refused is requested again."""
        for key, offset in offsets.items():
            state = self._partitions.get(key)
            if offset is None and state is not None:
                state.requested = -1

    def positioned(self, positions: Mapping[Key, LogPosition]) -> None:
        """Note where the group stands."""
        self._problems.clear()
        self._positions.update(positions)
        for key, position in positions.items():
            self._metrics.lag.labels(self.plan.name, _names([key])).set(position.lag)

    def problem(self, message: str) -> None:
        """Note what the consumer met; the same is logged once until the broker answers again."""
        if message not in self._problems:
            _log.warning("%s: %s", self.plan.name, message)
        self._problems.add(message)
        self._courier.last_error = message

    def _begin_waiting(self) -> None:
        """Begin records of an unordered source while there are request slots, partition by partition in turn.

        The rest waits as plain records: thousands of tasks waiting for a slot would cost more than their requests.
        """
        if self.plan.ordered:
            return
        while (room := self.plan.max_in_flight - self._courier.busy) > 0:
            states = [state for state in self._partitions.values() if state.waiting]
            if not states:
                return
            for state in states[:room]:
                self._spawn(state, self._settle(state, state.waiting.popleft()))

    def _spawn(self, state: AssignedPartition, delivery: Any) -> None:
        self._courier.busy += 1
        task = asyncio.create_task(delivery)
        state.tasks.add(task)
        task.add_done_callback(partial(self._check, state))

    def _check(self, state: AssignedPartition, task: asyncio.Task[None]) -> None:
        state.tasks.discard(task)
        self._courier.busy -= 1
        self._begin_waiting()
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours: the record stays uncommitted, so the lag shows it and a restart tries it again.
            _log.error("%s: delivery broke off", self.plan.name, exc_info=error)
            self._courier.last_error = f"{type(error).__name__}: {error}"

    async def _settle_in_order(self, state: AssignedPartition) -> None:
        try:
            while state.waiting:
                await self._settle(state, state.waiting.popleft())
        finally:
            state.working = False

    async def _settle(self, state: AssignedPartition, record: Record) -> None:
        try:
            await self._courier.settle(state, record)
            state.tracker.finish(record.offset)
        except Abandoned:
            pass
        finally:
            if state.release(record) and state.paused and not state.closing:
                state.paused = False
                self._consumer.resume((record.topic, record.partition))

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
        courier = self._courier
        return {
            "ready": self.ready,
            "sink": courier.destination,
            "topics": list(self.plan.topics),
            "group": self.plan.group,
            "ordering": "ordered" if self.plan.ordered else "unordered",
            "lag": sum(partition["lag"] or 0 for partition in partitions.values()),
            "in_flight": courier.in_flight,
            "delivered": courier.delivered,
            "retried": courier.retried,
            "dead_lettered": courier.dead_lettered,
            "last_error": courier.last_error,
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


def _names(keys: list[Key]) -> str:
    return ", ".join(f"{topic}-{number}" for topic, number in sorted(keys))
