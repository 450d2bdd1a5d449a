"""Publishing events to Kafka without waiting for the broker."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer
from prometheus_client import Counter, Gauge

from shared.bus.connection import connection
from shared.bus.outbox import Outbox, Record, Segment
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event

_log = logging.getLogger(__name__)

PUBLISHED: Final = Counter("fraud_events_published_total", "Events that Kafka has acknowledged.", ["topic"])
DROPPED: Final = Counter(
    "fraud_events_dropped_total", "Events lost because the buffer was full or Kafka refused them.", ["topic"]
)
RECOVERED: Final = Counter(
    "fraud_events_recovered_total", "Events published again from the journal of a process that died.", ["topic"]
)
PENDING: Final = Gauge("fraud_events_pending", "Events waiting for Kafka in this process.")

UNJOURNALED: Final = Counter(
    "fraud_events_unjournaled_total", "Events published without a journal entry because its disk failed."
)

_POLL_SECONDS = 0.02
_RECOVER_SECONDS = 15.0


def producer_settings(bootstrap_servers: str, buffer_events: int) -> dict[str, Any]:
    """Return the librdkafka settings of every producer here: idempotent, acknowledged by all, never timing out."""
    return {
        **connection(bootstrap_servers),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 25,  # nobody waits for these events, and fewer requests spare the broker
        "message.timeout.ms": 0,  # an outage of any length: the buffer's bound decides, not a clock
        "message.max.bytes": 2_000_000,
        "queue.buffering.max.messages": buffer_events,
        "queue.buffering.max.kbytes": 256 * 1024,
        "partitioner": "murmur2_random",  # as every other Kafka client places keys
        "reconnect.backoff.max.ms": 1000,
        "log.connection.close": False,
    }


class Publisher:
    """Events to Kafka from one event loop, buffered within a bound.

    With an `Outbox` an event survives the death of the process as soon as `publish` has returned. The Kafka client gets
    it a moment later, together with its neighbours: each call of an idle client wakes its threads, which would cost an
    answer that waits for nothing else.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        outbox: Outbox | None = None,
        buffer_events: int = 100_000,
        producer: Producer | None = None,
    ) -> None:
        if producer is None:  # an idle one is false: its length is what it has waiting
            settings = producer_settings(bootstrap_servers, buffer_events)
            producer = Producer(settings, logger=logging.getLogger("librdkafka"))
        self._producer = producer
        self._outbox = outbox
        self._recovery_bound = buffer_events // 2
        self._pending = 0
        self._poller: asyncio.TimerHandle | None = None
        self._published: dict[str, Counter] = {}
        self._unsent: list[tuple[Sequence[Record], Segment | None]] = []
        self._unsent_events = 0

    @property
    def pending(self) -> int:
        """Events that Kafka has not acknowledged yet."""
        return self._pending + self._unsent_events

    def publish(self, items: Sequence[tuple[str, Event]]) -> None:
        """Hand events over, each with its topic. Returns at once; events beyond the bound are dropped and counted."""
        records = [Record(topic, *cloudevents.to_kafka(event)) for topic, event in items]
        self._unsent.append((records, self._journal(records)))
        self._unsent_events += len(records)
        self._poll_soon()

    async def publish_and_wait(self, topic: str, event: Event) -> None:
        """Hand one event over and wait until Kafka has it.

        Raises:
            KafkaException: Kafka refused it, or the buffer is full.
        """
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()

        def delivered(error: KafkaError | None, _message: Any) -> None:
            self._pending -= 1
            if error is None:
                PUBLISHED.labels(topic).inc()
            else:
                DROPPED.labels(topic).inc()
            if not acknowledged.done():
                if error is None:
                    acknowledged.set_result(None)
                else:
                    acknowledged.set_exception(KafkaException(error))

        key, value, headers = cloudevents.to_kafka(event)
        try:
            self._producer.produce(topic, value, key, headers=[*headers], on_delivery=delivered)
        except BufferError:
            DROPPED.labels(topic).inc()
            raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from None  # noqa: SLF001 - its public name
        self._pending += 1
        self._poll_soon()
        await acknowledged

    def recover(self) -> int:
        """Publish again what dead processes left in the journal's folder; returns the number of events."""
        if self._outbox is None:
            return 0
        recovered = 0
        for segment, records in self._outbox.adopt():
            for record in records:
                RECOVERED.labels(record.topic).inc()
            self._produce_all(records, segment)
            recovered += len(records)
            if self._pending > self._recovery_bound:
                break  # the rest is safe on disk until there is room again
        if recovered:
            _log.warning("publishing %d events again that a dead process had not delivered", recovered)
            self._poll_soon()
        return recovered

    def keep_recovering(self) -> None:
        """Recover now and every 15 seconds from now on: replicas that die while this one lives are found too."""
        asyncio.get_running_loop().call_later(_RECOVER_SECONDS, self.keep_recovering)
        try:
            self.recover()
        except OSError as error:
            _log.error("the journals of dead processes cannot be read: %s", error)

    def drain(self, timeout_seconds: float) -> int:
        """Wait until everything is acknowledged; returns the number of events that are not after the timeout."""
        self._send()
        return int(self._producer.flush(timeout_seconds))

    def close(self, timeout_seconds: float) -> None:
        """Drain, and leave no journal behind when that succeeds. Nothing may be published afterwards."""
        remaining = self.drain(timeout_seconds)
        if remaining:
            _log.warning("%d events have not reached Kafka; the journal keeps them for the next process", remaining)
        if self._outbox is not None:
            self._outbox.close()

    def _journal(self, records: Sequence[Record]) -> Segment | None:
        if self._outbox is None:
            return None
        try:
            return self._outbox.append(records)
        except OSError as error:
            # A full disk must not stop decisions; these events live in memory alone.
            UNJOURNALED.inc(len(records))
            _log.error("the event journal cannot be written: %s", error)
            return None

    def _send(self) -> None:
        """Give the Kafka client what was published since the last time."""
        unsent, self._unsent, self._unsent_events = self._unsent, [], 0
        for records, segment in unsent:
            self._produce_all(records, segment)

    def _produce_all(self, records: Sequence[Record], segment: Segment | None) -> None:
        callbacks: dict[str, Callable[[KafkaError | None, Any], None]] = {}
        for record in records:
            on_delivery = callbacks.get(record.topic)
            if on_delivery is None:
                on_delivery = callbacks[record.topic] = self._on_delivery(record.topic, segment)
            self._produce(record, segment, on_delivery)

    def _produce(
        self, record: Record, segment: Segment | None, on_delivery: Callable[[KafkaError | None, Any], None]
    ) -> None:
        try:
            self._producer.produce(
                record.topic, record.value, record.key, headers=[*record.headers], on_delivery=on_delivery
            )
        except (BufferError, KafkaException) as error:
            DROPPED.labels(record.topic).inc()
            if segment is not None:
                segment.acknowledge()
            if isinstance(error, KafkaException):  # a full buffer is said by its metrics, thousands of times a second
                _log.error("the Kafka client takes no event for %s: %s", record.topic, error)
        else:
            self._pending += 1

    def _on_delivery(self, topic: str, segment: Segment | None) -> Callable[[KafkaError | None, Any], None]:
        published = self._published.get(topic)
        if published is None:
            published = self._published[topic] = PUBLISHED.labels(topic)

        def delivered(error: KafkaError | None, _message: Any) -> None:
            self._pending -= 1
            if segment is not None:
                segment.acknowledge()
            if error is None:
                published.inc()
            else:
                DROPPED.labels(topic).inc()
                _log.error("Kafka refused an event for %s: %s", topic, error.str())

        return delivered

    def _poll_soon(self) -> None:
        if self._poller is None:
            self._poller = asyncio.get_running_loop().call_later(_POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        """Send, and serve delivery reports on the event loop, as long as there is anything to wait for."""
        self._poller = None
        self._send()
        self._producer.poll(0)
        PENDING.set(self._pending)
        if self._pending:
            self._poll_soon()
