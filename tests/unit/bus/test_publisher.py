from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from shared.bus import topics
from shared.bus.outbox import Outbox
from shared.bus.publisher import Publisher, producer_settings
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from tests.support.fakes.kafka_producer import FakeProducer
from tests.support.metrics import Change, sample

DECISIONS = topics.DECISIONS


def event(number: int = 0) -> Event:
    return Event(
        id=f"id-{number}",
        source="/fraud/scorer",
        type=cloudevents.DECISION,
        data=b'{"number":%d}' % number,
        subject=f"tx-{number}",
        partition_key=f"card-{number % 3}",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )


def events(count: int) -> list[tuple[str, Event]]:
    return [(DECISIONS, event(number)) for number in range(count)]


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.002)


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


async def test_events_reach_kafka_as_they_are_in_order_without_a_further_call(producer: FakeProducer) -> None:
    change = Change()
    publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
    publisher.publish(events(20))
    await until(lambda: publisher.pending == 0)
    assert producer.events(DECISIONS) == [event(number) for number in range(20)]
    assert {sent.key for sent in producer.acknowledged} == {b"card-0", b"card-1", b"card-2"}
    assert change.of("fraud_events_published_total", topic=DECISIONS) == 20
    assert sample("fraud_events_pending") == 0


async def test_an_outage_loses_nothing_within_the_bound_and_counts_what_is_beyond(
    producer: FakeProducer, tmp_path: Path
) -> None:
    change = Change()
    publisher = Publisher("unused:1", Outbox(tmp_path), producer=producer)  # type: ignore[arg-type]
    producer.away, producer.capacity = True, 100
    publisher.publish(events(130))
    await until(lambda: sample("fraud_events_pending") == 100)
    assert publisher.pending == 100
    assert change.of("fraud_events_dropped_total", topic=DECISIONS) == 30

    producer.away = False
    await until(lambda: publisher.pending == 0)
    assert [sent.id for sent in producer.events(DECISIONS)] == [f"id-{number}" for number in range(100)]
    assert change.of("fraud_events_published_total", topic=DECISIONS) == 100
    assert change.of("fraud_events_dropped_total", topic=DECISIONS) == 30
    publisher.close(1)
    assert files(tmp_path) == []


async def test_the_client_gets_what_is_published_together_at_once_and_later(producer: FakeProducer) -> None:
    publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
    producer.away = True
    for number in range(3):
        publisher.publish([(DECISIONS, event(number))])
    assert (len(producer), publisher.pending) == (0, 3)
    await until(lambda: len(producer) == 3)
    assert publisher.pending == 3
    publisher.publish([(DECISIONS, event(3))])
    assert publisher.drain(0.01) == 4  # nothing is left behind when a process ends


async def test_what_kafka_refuses_is_counted_and_not_kept(producer: FakeProducer, tmp_path: Path) -> None:
    change = Change()
    publisher = Publisher("unused:1", Outbox(tmp_path), producer=producer)  # type: ignore[arg-type]
    producer.refusal = KafkaError.MSG_SIZE_TOO_LARGE
    publisher.publish(events(3))
    await until(lambda: publisher.pending == 0)
    assert change.of("fraud_events_dropped_total", topic=DECISIONS) == 3
    assert change.of("fraud_events_published_total", topic=DECISIONS) == 0
    publisher.close(1)
    assert files(tmp_path) == []


async def test_a_client_that_takes_nothing_any_more_stops_no_decision(producer: FakeProducer, tmp_path: Path) -> None:
    change = Change()
    publisher = Publisher("unused:1", Outbox(tmp_path), producer=producer)  # type: ignore[arg-type]
    producer.error = KafkaException(KafkaError(KafkaError._FATAL))
    publisher.publish(events(3))
    await until(lambda: publisher.pending == 0)
    assert change.of("fraud_events_dropped_total", topic=DECISIONS) == 3


async def test_a_full_disk_stops_no_event(
    producer: FakeProducer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Change()
    outbox = Outbox(tmp_path)
    publisher = Publisher("unused:1", outbox, producer=producer)  # type: ignore[arg-type]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outbox, "append", full)
    publisher.publish(events(3))
    await until(lambda: publisher.pending == 0)
    assert len(producer.events(DECISIONS)) == 3
    assert change.total("fraud_events_unjournaled_total") == 3


class TestPublishAndWait:
    async def test_returns_once_kafka_has_the_event(self, producer: FakeProducer) -> None:
        publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
        producer.away = True
        waiting = asyncio.create_task(publisher.publish_and_wait(DECISIONS, event()))
        await until(lambda: len(producer) == 1)
        assert not waiting.done()
        producer.away = False
        await waiting
        assert producer.events(DECISIONS) == [event()]

    async def test_raises_what_kafka_says(self, producer: FakeProducer) -> None:
        change = Change()
        publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
        producer.refusal = KafkaError.MSG_SIZE_TOO_LARGE
        with pytest.raises(KafkaException):
            await publisher.publish_and_wait(DECISIONS, event())
        producer.refusal, producer.capacity = None, 0
        with pytest.raises(KafkaException):
            await publisher.publish_and_wait(DECISIONS, event())
        assert publisher.pending == 0
        assert change.of("fraud_events_dropped_total", topic=DECISIONS) == 2

    async def test_survives_a_caller_who_gives_up(self, producer: FakeProducer) -> None:
        publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
        producer.away = True
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publisher.publish_and_wait(DECISIONS, event()), 0.02)
        producer.away = False
        await until(lambda: publisher.pending == 0)
        assert producer.events(DECISIONS) == [event()]


class TestRecovery:
    def left_behind(self, folder: Path, count: int) -> None:
        """Journal events as a process that dies before Kafka has them."""
        dead = FakeProducer()
        dead.away = True
        outbox = Outbox(folder)
        asyncio.run(self._publish(Publisher("unused:1", outbox, producer=dead), count))  # type: ignore[arg-type]
        outbox.close()
        for segment in list(outbox._own):  # the lock goes with the process: here, by hand
            copy = segment.with_name(f"dead-{segment.name}")
            copy.write_bytes(segment.read_bytes())
            segment.unlink()

    async def _publish(self, publisher: Publisher, count: int) -> None:
        publisher.publish(events(count))

    def test_publishes_what_the_dead_left_and_clears_the_folder(self, tmp_path: Path, producer: FakeProducer) -> None:
        self.left_behind(tmp_path, 5)
        change = Change()

        async def recover() -> None:
            publisher = Publisher("unused:1", Outbox(tmp_path), producer=producer)  # type: ignore[arg-type]
            assert publisher.recover() == 5
            assert publisher.recover() == 0
            await until(lambda: publisher.pending == 0)
            publisher.close(1)

        asyncio.run(recover())
        assert producer.events(DECISIONS) == [event(number) for number in range(5)]
        assert change.of("fraud_events_recovered_total", topic=DECISIONS) == 5
        assert files(tmp_path) == []

    def test_keeps_the_journal_while_kafka_is_away(self, tmp_path: Path, producer: FakeProducer) -> None:
        self.left_behind(tmp_path, 5)

        async def recover() -> None:
            publisher = Publisher("unused:1", Outbox(tmp_path), producer=producer)  # type: ignore[arg-type]
            producer.away = True
            publisher.recover()
            publisher.close(0.01)

        asyncio.run(recover())
        assert len(files(tmp_path)) == 1

    def test_leaves_on_disk_what_the_buffer_has_no_room_for(self, tmp_path: Path) -> None:
        for _ in range(4):
            self.left_behind(tmp_path, 5)
        producer = FakeProducer(capacity=16)
        change = Change()

        async def recover() -> None:
            publisher = Publisher("unused:1", Outbox(tmp_path), 16, producer)  # type: ignore[arg-type]
            producer.away = True
            assert publisher.recover() == 10  # the second segment fills half of the buffer
            producer.away = False
            await until(lambda: publisher.pending == 0)
            assert publisher.recover() == 10
            await until(lambda: publisher.pending == 0)
            publisher.close(1)

        asyncio.run(recover())
        assert len(producer.acknowledged) == 20
        assert change.of("fraud_events_dropped_total", topic=DECISIONS) == 0
        assert files(tmp_path) == []

    async def test_goes_on_by_itself_whatever_happens(
        self, tmp_path: Path, producer: FakeProducer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.bus.publisher._RECOVER_SECONDS", 0.01)
        outbox = Outbox(tmp_path)
        calls = 0

        def adopt() -> list[object]:
            nonlocal calls
            calls += 1
            if calls < 3:
                raise PermissionError(13, "Permission denied")
            return []

        monkeypatch.setattr(outbox, "adopt", adopt)
        Publisher("unused:1", outbox, producer=producer).keep_recovering()  # type: ignore[arg-type]
        await until(lambda: calls > 4)


def test_draining_says_how_much_is_left(producer: FakeProducer) -> None:
    async def publish() -> Publisher:
        publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
        producer.away = True
        publisher.publish(events(4))
        return publisher

    publisher = asyncio.run(publish())
    assert publisher.drain(0.01) == 4
    producer.away = False
    assert publisher.drain(0.01) == 0
    assert publisher.pending == 0


def test_producers_wait_out_any_outage_and_never_reorder() -> None:
    settings = producer_settings("kafka:9092", 123)
    assert settings["enable.idempotence"] is True
    assert settings["acks"] == "all"
    assert settings["message.timeout.ms"] == 0
    assert settings["queue.buffering.max.messages"] == 123
