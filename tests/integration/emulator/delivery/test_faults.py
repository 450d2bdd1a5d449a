"""Delivery while the dispatcher, the broker or the service die."""

import threading
from collections import Counter

from tests.support.delivery.dispatcher import kafka_sink, kafka_source, service
from tests.support.delivery.kafka import EmbeddedKafka, eventually
from tests.support.delivery.sink import Received, RecordingSink, Reply

PATIENT = {"retry": 1000, "backoffPolicy": "linear", "backoffDelay": "PT0.02S", "timeout": "PT5S"}


def numbered(first: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(b"card-%d" % (number % 16), b"%d" % number) for number in range(first, end)]


def taken(sink: RecordingSink) -> Counter[bytes]:
    return Counter(received.body for received, status in sink.answered if status == 202)


def all_committed(kafka: EmbeddedKafka, topic: str, count: int) -> None:
    eventually(lambda: sum(kafka.committed("group-s", topic).values()) == count, 60, "all committed")


def test_a_dispatcher_killed_in_mid_stream_loses_nothing(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda received: Reply(503 if hash(received.at) % 10 == 0 else 202, delay=0.003)
    process = dispatch(
        service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered", delivery=PATIENT)
    )
    process.start()
    writer = threading.Thread(target=lambda: [kafka.produce(topic, numbered(n, n + 50)) for n in range(0, 3000, 50)])
    writer.start()
    for wanted in (300, 1000, 1800):
        eventually(lambda wanted=wanted: len(sink.answered) > wanted)
        process.kill()
        process.start(ready=False)
    writer.join()
    all_committed(kafka, topic, 3000)
    assert taken(sink).keys() == {value for _, value in numbered(0, 3000)}
    assert kafka.read(dead_topic, 1, patience=0.5) == []


def test_an_orderly_end_commits_what_was_taken_and_repeats_nothing(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(202, delay=0.02)
    process = dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered"))
    process.start()
    kafka.produce(topic, numbered(0, 2000))
    for wanted in (200, 900):
        eventually(lambda wanted=wanted: len(sink.answered) > wanted)
        assert process.stop() == 0
        process.start()
    all_committed(kafka, topic, 2000)
    assert taken(sink) == Counter(value for _, value in numbered(0, 2000))


def test_an_orderly_end_gives_up_what_the_service_does_not_answer(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(202, delay=60)
    process = dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic))
    process.start("--grace", "0.5")
    kafka.produce(topic, numbered(0, 10))
    eventually(lambda: sink.received)
    assert process.stop() == 0
    assert kafka.committed("group-s", topic) == {}


def test_a_broker_killed_in_mid_stream_is_rejoined(kafka, sink, dispatch, topic, dead_topic) -> None:
    refused = {b"%d" % number for number in range(0, 2000, 100)}
    sink.reply = lambda received: Reply(400 if received.body in refused else 202, delay=0.002)
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered")) as process:
        kafka.produce(topic, numbered(0, 1000))
        eventually(lambda: len(sink.answered) > 300)
        kafka.kill()
        kafka.produce(topic, numbered(1000, 2000))
        all_committed(kafka, topic, 2000)
        assert taken(sink).keys() == {value for _, value in numbered(0, 2000)} - refused
        assert {letter.value for letter in kafka.read(dead_topic, len(refused))} == refused
        eventually(lambda: process.source("s")["lag"] == 0)


def test_a_dead_letter_nobody_takes_holds_the_commit_back(kafka, sink, dispatch, topic) -> None:
    sink.reply = lambda received: Reply(400 if received.body == b"1" else 202)
    missing = f"later-{topic}"
    kafka.produce(topic, numbered(0, 4), partition=0)
    with dispatch(service(), kafka_sink(missing), kafka_source("s", topic, ordering="unordered")) as process:
        eventually(lambda: kafka.committed("group-s", topic) == {0: 1})
        eventually(lambda: process.source("s")["delivered"] == 3)
        assert process.source("s")["dead_lettered"] == 0
        assert process.source("s")["lag"] in (3, 4)
        kafka.create(missing)
        eventually(lambda: kafka.committed("group-s", topic) == {0: 4}, 90)
        assert [letter.value for letter in kafka.read(missing, 1)] == [b"1"]


def test_a_service_restarting_under_load_gets_every_event(kafka, sink, dispatch, topic, dead_topic) -> None:
    def reply(_: Received) -> Reply:
        return Reply(202, delay=0.005)

    sink.reply = reply
    source = kafka_source("s", topic, ordering="ordered", delivery=PATIENT)
    with dispatch(service(), kafka_sink(dead_topic), source):
        kafka.produce(topic, numbered(0, 1500))
        for wanted in (200, 500, 900):
            eventually(lambda wanted=wanted: len(sink.answered) > wanted)
            sink.close()
            sink.open()
        all_committed(kafka, topic, 1500)
    assert taken(sink).keys() == {value for _, value in numbered(0, 1500)}
