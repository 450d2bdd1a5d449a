"""A consumer group member: one thread that reads batches, and hands everything else to the event loop."""

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from shared.emulator.delivery.client_log import CLIENT_LOG
from shared.emulator.delivery.lag import Key, LogPosition, read_positions
from shared.emulator.delivery.plan import SourcePlan
from shared.emulator.delivery.record import Record

_BATCH: Final = 200
_BATCHES_AHEAD: Final = 2
_POLL: Final = 0.1
_LOOK_EVERY: Final = 2.0
_BROKER_TIMEOUT: Final = 10.0
REVOKE_GRACE: Final = 5.0
"""Seconds that requests of a partition given to another member may take to finish, so that they are not repeated."""

_log = logging.getLogger(__name__)


class GroupHandler(Protocol):
    """What the consumer tells; every method is called on the event loop."""

    def assigned(self, keys: list[Key]) -> None:
        """Records of these partitions will come, from their committed offsets on."""

    def receive(self, records: list[Record]) -> None:
        """Take over records, in order per partition; ones of partitions not assigned are to be ignored."""

    async def revoked(self, keys: list[Key], grace: float) -> dict[Key, int]:
        """Let go of partitions within `grace` seconds and return the offsets to commit for them."""
        raise NotImplementedError

    def committed(self, offsets: Mapping[Key, int | None]) -> None:
        """The broker answered a commit: the offset it has now, or None when it refused."""

    def positioned(self, positions: Mapping[Key, LogPosition]) -> None:
        """Where the group stands, by the broker's word; told every two seconds."""

    def problem(self, message: str) -> None:
        """Something went wrong with the broker or the group; the consumer goes on by itself."""


class GroupConsumer:
    """Member of a KafkaSource's consumer group.

    Offsets are neither committed nor stored automatically. Partitions move one by one (cooperative-sticky). On revoke
    what is finished is committed before the partition goes. A group without any committed offset starts at the
    beginning or the end of its topics, as the source says; "the end" is committed at once, so that nothing produced
    between two starts is lost (Knative's control plane does so too: `offset.InitOffsets`).

    Args:
        plan: The source.
        handler: Told of everything, on the loop that `start` is called on.
    """

    def __init__(self, plan: SourcePlan, handler: GroupHandler) -> None:
        self._plan = plan
        self._handler = handler
        self._commands: queue.SimpleQueue[Callable[[Any], None]] = queue.SimpleQueue()
        self._ahead = threading.Semaphore(_BATCHES_AHEAD)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"consumer-{plan.name}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Join the group; call on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 - a bound for the thread, which cannot be cancelled
        """Commit what the handler has finished, leave the group, end the thread.

        After `timeout` seconds (no broker answers) the thread is left behind; the group finds out by itself.
        """
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, timeout)

    def commit(self, offsets: Mapping[Key, int]) -> None:
        """Commit without waiting; the handler hears what became of it."""
        partitions = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
        self._commands.put(lambda consumer: consumer.commit(offsets=partitions, asynchronous=True))

    def pause(self, key: Key) -> None:
        """Read no more of a partition; at most two batches still come."""
        self._commands.put(lambda consumer: consumer.pause([TopicPartition(*key)]))

    def resume(self, key: Key) -> None:
        """Read a partition again, from where it was paused."""
        self._commands.put(lambda consumer: consumer.resume([TopicPartition(*key)]))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._take_part()
            except KafkaException as error:
                self._tell(self._handler.problem, f"left the group, joining again: {error}")
                self._stopping.wait(1.0)

    def _take_part(self) -> None:
        consumer = Consumer(self._config(), logger=CLIENT_LOG)
        try:
            consumer.subscribe(
                list(self._plan.topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            look = time.monotonic()
            while not self._stopping.is_set():
                self._obey(consumer)
                if time.monotonic() >= look:
                    self._look(consumer)
                    look = time.monotonic() + _LOOK_EVERY
                # poll() returns with the first record; consume() alone would wait for its batch to fill up.
                first = consumer.poll(_POLL)
                if first is not None:
                    self._hand_over([first, *consumer.consume(_BATCH - 1, 0)])
            with contextlib.suppress(KafkaException):  # no broker, no assignment: nothing to give back
                self._on_revoke(consumer, consumer.assignment())
        finally:
            consumer.close()

    def _look(self, consumer: Any) -> None:
        try:
            positions = read_positions(consumer, self._plan.topics)
        except KafkaException as error:
            _log.info("lag of %s is not known: %s", self._plan.name, error)
        else:
            self._tell(self._handler.positioned, positions)

    def _config(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._plan.bootstrap_servers,
            "group.id": self._plan.group,
            "client.id": f"kafkasource-{self._plan.name}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # For a committed offset that the log no longer has: too many records rather than too few.
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            # The broker's minimum: a member killed with -9 holds its partitions no longer than this.
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 2_000,
            # Bounded prefetch: with 1 MB records the defaults would buffer 64 MB per source.
            "queued.min.messages": 2_000,
            "queued.max.messages.kbytes": 8_192,
            "fetch.max.bytes": 4 * 1024 * 1024,
            # A tenth of a second's records in one answer: an answer per record costs the broker more than the record.
            "fetch.min.bytes": 64 * 1024,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 20,
            "fetch.error.backoff.ms": 100,
            "retry.backoff.ms": 50,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 10_000,
            "topic.metadata.refresh.fast.interval.ms": 50,
            "log.connection.close": False,
            "on_commit": self._on_commit,
            "error_cb": self._on_error,
        }

    def _obey(self, consumer: Any) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                command = self._commands.get_nowait()
                try:
                    command(consumer)
                except KafkaException as error:
                    # Pause or commit of a partition that was just taken away: its next owner sees to it.
                    _log.debug("%s: %s", self._plan.name, error)

    def _hand_over(self, messages: Iterable[Any]) -> None:
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(Record.from_message(message))
            elif error.fatal():
                raise KafkaException(error)
            else:
                self._tell(self._handler.problem, error.str())
        if not records:
            return
        while not self._ahead.acquire(timeout=_POLL):
            if self._stopping.is_set():
                return
        self._tell(self._accept, records)

    def _accept(self, records: list[Record]) -> None:
        self._ahead.release()
        self._handler.receive(records)

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None  # noqa: S101 - set before the thread starts
        self._loop.call_soon_threadsafe(callback, *arguments)

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if self._plan.from_end:
            for topic in sorted({partition.topic for partition in partitions}):
                self._place_new_group(consumer, topic)
        keys = [(partition.topic, partition.partition) for partition in partitions]
        self._tell(self._handler.assigned, keys)

    def _place_new_group(self, consumer: Any, topic: str) -> None:
        """Commit the end of a topic that the group has never read; partitions added later are read from their start."""
        metadata = consumer.list_topics(topic, timeout=_BROKER_TIMEOUT).topics[topic]
        partitions = [TopicPartition(topic, number) for number in metadata.partitions]
        if any(known.offset >= 0 for known in consumer.committed(partitions, timeout=_BROKER_TIMEOUT)):
            return
        for partition in partitions:
            _, partition.offset = consumer.get_watermark_offsets(partition, timeout=_BROKER_TIMEOUT)
        consumer.commit(offsets=partitions, asynchronous=False)

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        finished = self._let_go(partitions, REVOKE_GRACE)
        offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in finished.items()]
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self._tell(self._handler.problem, f"finished records could not be committed and will come again: {error}")

    def _on_lost(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        self._let_go(partitions, 0.0)

    def _let_go(self, partitions: list[TopicPartition], grace: float) -> dict[Key, int]:
        if not partitions:
            return {}
        assert self._loop is not None  # noqa: S101 - set before the thread starts
        keys = [(partition.topic, partition.partition) for partition in partitions]
        answer = asyncio.run_coroutine_threadsafe(self._handler.revoked(keys, grace), self._loop)
        try:
            return answer.result(grace + _BROKER_TIMEOUT)
        except concurrent.futures.TimeoutError:
            answer.cancel()
            return {}

    def _on_error(self, error: Any) -> None:
        self._tell(self._handler.problem, error.name())

    def _on_commit(self, error: Any, partitions: list[TopicPartition]) -> None:
        offsets = {
            (partition.topic, partition.partition): None if error or partition.error else partition.offset
            for partition in partitions
        }
        self._tell(self._handler.committed, offsets)
