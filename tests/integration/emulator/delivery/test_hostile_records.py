"""Records that nobody would send on purpose, or only on purpose."""

import base64
import random

import pytest

from shared.emulator.delivery.dead_letters import DeadLetter
from tests.support.delivery.dispatcher import kafka_sink, kafka_source, service
from tests.support.delivery.kafka import eventually
from tests.support.delivery.sink import Received, Reply

GOOD = b'{"good": true}'


def only_good(received: Received) -> Reply:
    return Reply(202) if received.body == GOOD else Reply(400, b'{"detail": "not a transaction"}')


def hostile(source: random.Random, number: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    def junk(longest: int) -> bytes | None:
        return source.choice([None, b"", source.randbytes(source.randrange(longest))])

    names = ["ce_id", "ce_type", "ce_source", "ce_specversion", "ce_a\r\nb: c", "content-type", "x", "", "ce_", "é"]
    injection = b"v\r\nX-Evil: yes\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    headers = [
        (source.choice(names), source.choice([junk(60), injection, b"1.0", b"application/cloudevents+json", b"\xff"]))
        for _ in range(source.randrange(6))
    ]
    if number % 3 == 0:
        headers += [("ce_specversion", b"1.0"), ("ce_id", junk(20)), ("ce_type", b"t"), ("ce_source", injection)]
    value = junk(300)
    return junk(30), b"x" + value if value == GOOD else value, headers


@pytest.mark.parametrize("ordering", ["ordered", "unordered"])
def test_hostile_records_become_dead_letters_and_good_ones_between_them_arrive(
    kafka, sink, dispatch, topic, dead_topic, ordering
) -> None:
    sink.reply = only_good
    source = random.Random(f"hostile {ordering}")
    sent = [hostile(source, number) for number in range(1500)]
    for number, (key, value, headers) in enumerate(sent):
        kafka.enqueue(topic, key, value, headers, number % 4)
        if number % 5 == 0:
            kafka.enqueue(topic, b"card", GOOD, [("ce_id", b"%d" % number)], number % 4)
    kafka.flush()
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering=ordering)) as process:
        eventually(lambda: sum(kafka.committed("group-s", topic).values()) == 1800, 60)
        letters = kafka.read(dead_topic, 1500)
        assert process.source("s")["dead_lettered"] == 1500
    assert sum(received.body == GOOD for received, status in sink.answered if status == 202) == 300
    assert not any("x-evil" in received.headers for received in sink.received)
    assert sorted((repr(letter.key), repr(letter.value)) for letter in letters) == sorted(
        (repr(key), repr(value)) for key, value, _ in sent
    )
    reasons = {DeadLetter.from_record(letter).reason for letter in letters}
    assert "not a transaction" in reasons
    assert any("not UTF-8" in reason for reason in reasons)
    assert "" not in reasons


def test_values_of_900_kb_pass_whole_and_bounded(kafka, sink, dispatch, topic, dead_topic) -> None:
    values = [random.Random(number).randbytes(900_000) for number in range(60)]
    kafka.produce(topic, [(b"%d" % number, value) for number, value in enumerate(values)])
    sink.reply = lambda received: Reply(400 if received.body[0] % 2 else 202, b"x" * 5000)
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered")) as process:
        eventually(lambda: sum(kafka.committed("group-s", topic).values()) == 60, 60)
        resident = kafka.resident_megabytes(process.pid)
        letters = kafka.read(dead_topic, sum(value[0] % 2 for value in values))
    assert {received.body for received in sink.received} == set(values)
    assert {letter.value for letter in letters} == {value for value in values if value[0] % 2}
    data = dict(letters[0].headers)["ce_knativeerrordata"]
    assert data is not None
    assert len(base64.b64decode(data)) == 1024
    assert resident < 300


def test_a_record_at_the_topics_limit_leaves_its_value_behind(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(400, b"no")
    small = kafka.create(dead_topic + "-small", config={"max.message.bytes": "20000"})
    kafka.produce(topic, [(b"k", random.Random(1).randbytes(50_000)), (b"k", b"short")], partition=0)
    with dispatch(service(), kafka_sink(small), kafka_source("s", topic)):
        eventually(lambda: kafka.committed("group-s", topic) == {0: 2})
    letters = [DeadLetter.from_record(record) for record in kafka.read(small, 2)]
    letters.sort(key=lambda letter: letter.original_offset or 0)
    assert [(letter.value_omitted, letter.record.value) for letter in letters] == [(True, None), (False, b"short")]


def test_attributes_too_long_for_a_request_are_a_dead_letter_without_a_request(
    kafka, sink, dispatch, topic, dead_topic
) -> None:
    kafka.produce(topic, [(b"k" * 100_000, b"v")])
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic)):
        (letter,) = [DeadLetter.from_record(record) for record in kafka.read(dead_topic, 1)]
    assert sink.received == []
    assert "exceed" in letter.reason
    assert letter.code == "400"
