import asyncio

import orjson
import pytest

from functions.producer.producer import Ending, Producer
from functions.producer.switch import Answer, StandIn
from functions.producer.timetable import Timetable
from shared.contracts import cloudevents
from shared.simulation.stream import Delivery, Kind
from shared.telemetry.tracing import continue_trace

START_MS = 1_790_000_000_000


class Bus:
    def __init__(self):
        self.published = []

    def publish(self, items):
        self.published.extend(items)


class Asker:
    def __init__(self, answer=None, wait=None):
        self.asked = []
        self.answer = answer or Answer("approve", None)
        self.wait = wait

    async def ask(self, body, traceparent):
        self.asked.append((asyncio.get_running_loop().time(), body, traceparent))
        if self.wait is not None:
            await self.wait.wait()
        return self.answer


def delivery(number, offset_ms=0, kind=Kind.TRANSACTION, pattern=None, late=False):
    document = {"transaction_id": f"tx_{number}", "card_id": f"card_{number % 3}", "timestamp": "t", "label_time": "l"}
    return Delivery(START_MS + offset_ms, kind, document, late, pattern)


def make(deliveries, asker, bus=None, max_in_flight=100):
    return Producer(iter([[one] for one in deliveries]), bus or Bus(), asker, max_in_flight=max_in_flight)


async def run(producer, *, speedup=1.0, stop=None, latest_ms=None):
    loop = asyncio.get_running_loop()
    return await producer.run(lambda: Timetable(START_MS, loop.time(), speedup), stop or asyncio.Event(), latest_ms)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def test_transactions_go_to_kafka_and_to_the_scorer_in_one_trace():
    bus, asker = Bus(), Asker()
    ending = await run(make([delivery(1), delivery(2)], asker, bus))

    assert ending is Ending.COMPLETE
    assert [topic for topic, _ in bus.published] == ["fraud.transactions"] * 2
    for (_, event), (_, body, traceparent) in zip(bus.published, asker.asked, strict=True):
        assert (event.data, event.traceparent) == (body, traceparent)
        assert continue_trace(traceparent).trace_id == traceparent.split("-")[1]
        document = orjson.loads(event.data)
        assert (event.id, event.subject) == (document["transaction_id"],) * 2
        assert event.partition_key == document["card_id"]
        assert event.type == cloudevents.TRANSACTION
    assert len({traceparent for _, _, traceparent in asker.asked}) == 2


async def test_a_duplicate_is_sent_and_asked_like_the_first_and_keeps_the_events_id():
    bus, asker = Bus(), Asker()
    await run(make([delivery(1), delivery(1, kind=Kind.DUPLICATE)], asker, bus))

    assert [event.id for _, event in bus.published] == ["tx_1", "tx_1"]
    assert len(asker.asked) == 2


async def test_a_label_goes_to_its_topic_and_to_nobody_else():
    bus, asker = Bus(), Asker()
    producer = make([delivery(1, kind=Kind.LABEL, pattern="card_testing")], asker, bus)
    await run(producer)

    [(topic, event)] = bus.published
    assert topic == "fraud.labels"
    assert (event.type, event.id, event.subject, event.time) == (cloudevents.LABEL, "tx_1/label", "tx_1", "l")
    assert not asker.asked
    assert producer.tally.document()["labels"] == 1


async def test_publish_only_asks_nobody():
    bus = Bus()
    await run(make([delivery(1)], None, bus))

    assert len(bus.published) == 1


async def test_sending_follows_the_schedule_and_not_the_answers():
    answered = asyncio.Event()
    asker = Asker(wait=answered)
    producer = make([delivery(n, n * 20_000) for n in range(10)], asker)
    running = asyncio.create_task(run(producer, speedup=1_000))
    await until(lambda: len(asker.asked) == 10)

    # All were sent though none was answered.
    moments = [moment for moment, _, _ in asker.asked]
    assert moments[-1] - moments[0] >= 0.17  # nine gaps of 20 ms
    answered.set()
    assert await running is Ending.COMPLETE
    assert producer.tally.decisions["approve"] == 10


async def test_beyond_the_open_questions_the_switch_stands_in():
    answered = asyncio.Event()
    producer = make([delivery(n) for n in range(5)], Asker(wait=answered), max_in_flight=2)
    running = asyncio.create_task(run(producer))
    await until(lambda: producer.tally.kinds["transaction"] == 5)
    answered.set()
    await running

    assert producer.tally.stand_ins == {StandIn.BUSY: 3}
    assert producer.tally.decisions == {"approve": 2}


async def test_stopping_ends_a_wait_and_answers_what_is_open():
    stop, answered = asyncio.Event(), asyncio.Event()
    producer = make([delivery(1), delivery(2, 3_600_000)], Asker(wait=answered))
    running = asyncio.create_task(run(producer, stop=stop))
    await until(lambda: producer.tally.kinds["transaction"] == 1)
    stop.set()
    answered.set()

    assert await asyncio.wait_for(running, 10) is Ending.STOPPED
    assert producer.tally.decisions == {"approve": 1}


async def test_event_time_never_passes_the_clock():
    producer = make([delivery(1, 0), delivery(2, 1_000)], Asker())

    assert await run(producer, speedup=1_000, latest_ms=lambda: START_MS + 500) is Ending.CAUGHT_UP
    assert producer.tally.kinds["transaction"] == 1


async def test_a_failure_of_the_generator_is_not_swallowed():
    def broken():
        yield [delivery(1)]
        raise RuntimeError("no more")

    producer = Producer(broken(), Bus(), None, max_in_flight=1)
    with pytest.raises(RuntimeError, match="no more"):
        await run(producer)


async def test_the_summary_counts_every_outcome():
    frauds = [delivery(n, pattern="card_testing") for n in range(2)]
    alarm = make([*frauds, delivery(7, late=True)], Asker(Answer("decline", None, degraded=True, retries=2)))
    await run(alarm)
    document = alarm.tally.document()

    assert document["transactions"] == 3
    assert document["late"] == 1
    assert document["frauds"] == {"card_testing": {"sent": 2, "alerted": 2}}
    assert document["false_alarms"] == 1
    assert document["decisions"] == {"decline": 3}
    assert (document["degraded"], document["retries"]) == (3, 6)
    assert (document["labels"], document["labels_outstanding"]) == (0, 2)
