"""KafkaSource delivery against a real broker and a recording service."""

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from tests.support.delivery.dispatcher import QUICK, kafka_sink, kafka_source, service
from tests.support.delivery.kafka import eventually
from tests.support.delivery.sink import Received, Reply


def event(number: int, **more: str) -> list[tuple[str, bytes]]:
    attributes = {"specversion": "1.0", "id": str(number), "source": "/t", "type": "t", **more}
    return [(f"ce_{name}", value.encode()) for name, value in attributes.items()]


def numbered(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"card-%d" % (number % 16), b"%d" % number) for number in range(count)]


def test_every_record_is_delivered_and_then_committed(kafka, sink, dispatch, topic, dead_topic) -> None:
    kafka.produce(topic, numbered(500))
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic)) as process:
        eventually(lambda: sum(kafka.committed("group-s", topic).values()) == 500)
        assert Counter(received.body for received in sink.received) == Counter(value for _, value in numbered(500))
        status = eventually(lambda: (s := process.source("s")) and s["lag"] == 0 and s["delivered"] == 500 and s)
        assert all(partition["committed"] == partition["end"] for partition in status["partitions"].values())
        metrics = process.get("/metrics").decode()
        assert 'fraud_events_delivered_total{code="202",source="s"} 500.0' in metrics
        assert f'fraud_events_lag{{partition="{topic}-0",source="s"}} 0.0' in metrics


@pytest.mark.parametrize("ordering", ["ordered", "unordered"])
def test_nothing_is_committed_before_the_sink_said_2xx(kafka, sink, dispatch, topic, dead_topic, ordering) -> None:
    sink.reply = lambda _: Reply(503)
    kafka.produce(topic, numbered(20), partition=0)
    delivery = {"retry": 1000, "backoffPolicy": "linear", "backoffDelay": "PT0.02S"}
    source = kafka_source("s", topic, ordering=ordering, delivery=delivery)
    with dispatch(service(), kafka_sink(dead_topic), source) as process:
        eventually(lambda: len(sink.received) > 20)
        assert kafka.committed("group-s", topic) == {}
        assert process.source("s")["retried"] > 0
        first = sink.received[0].body
        sink.reply = lambda received: Reply(202 if received.body == first else 503)
        eventually(lambda: kafka.committed("group-s", topic) == {0: 1})
        sink.reply = lambda _: Reply(200)
        eventually(lambda: kafka.committed("group-s", topic) == {0: 20})


def test_an_ordered_source_keeps_the_order_of_each_partition_through_failures(
    kafka, sink, dispatch, topic, dead_topic
) -> None:
    attempts: Counter[bytes] = Counter()

    def fail_every_fifth_twice(received: Received) -> Reply:
        attempts[received.body] += 1
        return Reply(503 if int(received.body) % 5 == 0 and attempts[received.body] <= 2 else 202, delay=0.002)

    sink.reply = fail_every_fifth_twice
    kafka.produce(topic, numbered(300))
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="ordered")):
        eventually(lambda: sum(kafka.committed("group-s", topic).values()) == 300)
    order = defaultdict(list)
    for received, status in sink.answered:
        if status == 202:
            order[received.headers["ce-subject"].split("#")[0]].append(
                int(received.headers["ce-subject"].split("#")[1])
            )
    assert len(order) == 4
    assert all(offsets == sorted(offsets) for offsets in order.values())
    # One in flight per partition: a record is attempted to its end before the next one is begun.
    for partition in order:
        seen = [r.body for r in sink.received if r.headers["ce-subject"].startswith(partition + "#")]
        assert len([1 for a, b in pairwise(seen) if a != b]) == len(set(seen)) - 1
    assert 1 < sink.most_at_once <= 4


def test_a_failing_record_blocks_neither_its_unordered_partition_nor_other_ordered_ones(
    kafka, sink, dispatch, topic, dead_topic
) -> None:
    sink.reply = lambda received: Reply(503 if received.body == b"stuck" else 202)
    other = kafka.create(topic + "-o")
    for name in (topic, other):
        kafka.produce(name, [(b"k", b"stuck")], partition=0)
        kafka.produce(name, numbered(200), partition=0)
        kafka.produce(name, numbered(100), partition=1)
    delivery = {"retry": 500, "backoffPolicy": "linear", "backoffDelay": "PT0.5S"}
    manifests = [
        kafka_source("loose", topic, ordering="unordered", delivery=delivery),
        kafka_source("strict", other, ordering="ordered", delivery=delivery),
    ]
    with dispatch(service(), kafka_sink(dead_topic), *manifests) as process:
        eventually(lambda: process.source("loose")["delivered"] == 300)
        eventually(lambda: process.source("strict")["delivered"] == 100)
        eventually(lambda: kafka.committed("group-strict", other) == {1: 100})
        eventually(lambda: kafka.committed("group-loose", topic).get(1) == 100)
        assert kafka.committed("group-loose", topic).get(0, 0) == 0
        eventually(lambda: process.source("loose")["lag"] == 201)
        sink.reply = lambda _: Reply(202)
        eventually(lambda: kafka.committed("group-loose", topic).get(0) == 201)
        eventually(lambda: kafka.committed("group-strict", other) == {0: 201, 1: 100})


def test_codes_are_retried_or_dead_lettered_as_knative_does(kafka, sink, dispatch, topic, dead_topic) -> None:
    retried, refused = (404, 408, 409, 429, 500, 503), (300, 302, 400, 401, 410, 413, 422)
    sink.reply = lambda received: Reply(int(received.body), b'{"detail": "because"}')
    kafka.produce(topic, [(b"k", b"%d" % code) for code in (*retried, *refused)])
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered")) as process:
        letters = kafka.read(dead_topic, len(retried) + len(refused))
        attempts = Counter(int(received.body) for received in sink.received)
        assert attempts == dict.fromkeys(retried, 1 + QUICK["retry"]) | dict.fromkeys(refused, 1)
        assert {letter.value: dict(letter.headers)["ce_knativeerrorcode"] for letter in letters} == {
            b"%d" % code: b"%d" % code for code in (*retried, *refused)
        }
        assert all(dict(letter.headers)["ce_knativeerrordest"] == sink.url.encode() + b"/" for letter in letters)
        eventually(lambda: sum(kafka.committed("group-s", topic).values()) == len(letters))
        metrics = process.get("/metrics").decode()
        assert f'dead_lettered_total{{reason="refused",source="s"}} {len(refused)}.0' in metrics
        assert f'dead_lettered_total{{reason="retries_exhausted",source="s"}} {len(retried)}.0' in metrics
        assert f'fraud_events_retried_total{{source="s"}} {len(retried) * QUICK["retry"]}.0' in metrics


def test_backoff_is_waited_for_whatever_retry_after_says(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(429, headers={"Retry-After": "1"}) if len(sink.received) == 1 else Reply(503)
    kafka.produce(topic, [(b"k", b"v")])
    delivery = {"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT0.1S"}
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, delivery=delivery)):
        kafka.read(dead_topic, 1)
    waits = [later.at - earlier.at for earlier, later in pairwise(sink.received)]
    assert [expected <= wait < expected + 0.4 for wait, expected in zip(waits, (0.2, 0.4, 0.8), strict=True)] == [
        True
    ] * 3, waits


def test_a_slow_answer_is_a_failed_attempt(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(202, delay=1.0 if len(sink.received) == 1 else 0.0)
    kafka.produce(topic, [(b"k", b"v")])
    delivery = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.05S", "timeout": "PT0.3S"}
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, delivery=delivery)) as process:
        eventually(lambda: kafka.committed("group-s", topic))
        assert len(sink.received) == 2
        assert process.source("s")["retried"] == 1


def test_a_service_that_is_away_or_moves_is_found_again(kafka, sink, dispatch, topic, dead_topic) -> None:
    delivery = {"retry": 500, "backoffPolicy": "linear", "backoffDelay": "PT0.02S"}
    manifests = (service(), kafka_sink(dead_topic), kafka_source("s", topic, delivery=delivery))
    with dispatch(*manifests, targets={}) as process:
        kafka.produce(topic, [(b"k", b"no address yet")])
        eventually(lambda: "no address" in (process.source("s")["last_error"] or ""))
        process.point({"sink": "http://127.0.0.1:1"})
        eventually(lambda: "Connect" in (process.source("s")["last_error"] or ""))
        process.point({"sink": sink.url + "/"})
        eventually(lambda: sink.answered)
        sink.close()
        kafka.produce(topic, [(b"k", b"while closed")])
        eventually(lambda: process.source("s")["retried"] > 3)
        sink.open()
        eventually(lambda: process.source("s")["delivered"] == 2)
        assert {received.path for received in sink.received} == {"/"}


def test_a_group_that_starts_at_the_end_loses_nothing_while_it_is_away(
    kafka, sink, dispatch, topic, dead_topic
) -> None:
    kafka.produce(topic, [(b"k", b"before")] * 5)
    process = dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, initialOffset="latest"))
    process.start()
    eventually(lambda: sum(kafka.committed("group-s", topic).values()) == 5)
    assert process.stop() == 0
    kafka.produce(topic, [(b"k", b"while away")])
    process.start()
    eventually(lambda: sink.answered)
    assert [received.body for received in sink.received] == [b"while away"]


def test_requests_in_flight_are_bounded(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(delay=0.05)
    kafka.produce(topic, numbered(400))
    process = dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered", consumers=2))
    process.start("--requests-per-consumer", "7")
    eventually(lambda: process.source("s")["delivered"] == 400)
    assert sink.most_at_once == 14


def test_a_connection_the_server_closes_is_replaced(kafka, sink, dispatch, topic, dead_topic) -> None:
    sink.reply = lambda _: Reply(headers={"Connection": "close"})
    kafka.produce(topic, numbered(200))
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="unordered")) as process:
        eventually(lambda: process.source("s")["delivered"] == 200)
        assert process.source("s")["retried"] == 0


def test_two_dispatchers_share_a_group_and_hand_over_without_repeating(
    kafka, sink, dispatch, topic, dead_topic
) -> None:
    sink.reply = lambda _: Reply(delay=0.01)
    manifests = (service(), kafka_sink(dead_topic), kafka_source("s", topic, ordering="ordered"))
    one, two = dispatch(*manifests), dispatch(*manifests)
    one.start()
    kafka.produce(topic, numbered(400))
    eventually(lambda: len(sink.received) > 20)
    two.start()
    eventually(lambda: sum(partition["assigned"] for partition in two.source("s")["partitions"].values()) == 2)
    kafka.produce(topic, numbered(400))
    eventually(lambda: two.source("s")["delivered"] > 50)
    assert one.stop() == 0
    eventually(lambda: sum(kafka.committed("group-s", topic).values()) == 800)
    assert len(sink.answered) == 800
