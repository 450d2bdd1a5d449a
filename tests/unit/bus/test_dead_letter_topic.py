from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from shared.bus import topics
from shared.bus.dead_letters import DeadLetterTopic
from tests.support.fakes.kafka_producer import FakeProducer


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def dead_letters(producer: FakeProducer, monkeypatch: pytest.MonkeyPatch) -> DeadLetterTopic:
    monkeypatch.setattr("shared.bus.dead_letters.Producer", lambda _settings: producer)
    return DeadLetterTopic("unused:1")


async def test_a_record_is_put_aside_as_it_came_with_the_reason(
    dead_letters: DeadLetterTopic, producer: FakeProducer
) -> None:
    await dead_letters.put(b"key", b"\xff\0", [("ce_id", b"x")], "not a CloudEvent", "fraud.labels/3/17")
    [sent] = producer.acknowledged
    assert (sent.topic, sent.key, sent.value) == (topics.DEAD_LETTERS, b"key", b"\xff\0")
    assert sent.headers == [
        ("ce_id", b"x"),
        ("ce_knativeerrorcode", b"400"),
        ("ce_knativeerrordata", b"not a CloudEvent"),
        ("ce_knativeerrordest", b"fraud.labels/3/17"),
    ]


async def test_a_record_that_is_not_safe_in_kafka_is_never_taken_for_done(
    dead_letters: DeadLetterTopic, producer: FakeProducer
) -> None:
    producer.away = True
    with pytest.raises(KafkaException):
        await dead_letters.put(None, None, [], "reason", "t/0/1")
    producer.away, producer.refusal = False, KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(KafkaException):
        await dead_letters.put(None, None, [], "reason", "t/0/2")
