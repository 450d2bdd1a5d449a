from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import pytest

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.aws_events import ForeignEvent
from shared.hosts.aws_kafka import KafkaTrigger, PoisonRecord, handle_batch
from shared.hosts.outcome import Handled, ServiceAway, run
from tests.support.transactions import body


def lambda_record(event: Event, partition: int, offset: int) -> dict[str, Any]:
    """A record as Lambda delivers it: base64 and headers as signed bytes."""
    key, value, headers = cloudevents.to_kafka(event)
    return {
        "topic": "fraud.transactions",
        "partition": partition,
        "offset": offset,
        "timestamp": 1_768_480_245_250,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(key or b"").decode(),
        "value": base64.b64encode(value).decode(),
        "headers": [
            {name: [byte - 256 if byte > 127 else byte for byte in content]} for name, content in headers
        ],
    }  # fmt: skip


def batch(*records: dict[str, Any]) -> dict[str, Any]:
    partitions: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        partitions.setdefault(f"fraud.transactions-{record['partition']}", []).append(record)
    return {"eventSource": "aws:SelfManagedKafka", "bootstrapServers": "kafka:9092", "records": partitions}


def event(name: str) -> Event:
    return Event(id=name, source="/s", type=cloudevents.TRANSACTION, data=body(), subject=name, partition_key="card-é")


class Function:
    def __init__(self) -> None:
        self.away: set[str] = set()
        self.poison: set[str] = set()
        self.handled: list[str] = []
        self.dead: list[PoisonRecord] = []
        self.dead_letters_away = False
        self.sizes: list[int] = []

    async def handle(self, event: Event) -> None:
        await asyncio.sleep(0)
        assert event.partition_key == "card-é"
        if event.id in self.away:
            raise ServiceAway("redis is away")
        if event.id in self.poison:
            raise PoisonEvent("no such thing")
        self.handled.append(event.id)

    async def dead_letter(self, record: PoisonRecord) -> None:
        if self.dead_letters_away:
            raise ServiceAway("kafka is away")
        self.dead.append(record)

    async def run(self, *records: dict[str, Any]) -> dict[str, Any]:
        return await handle_batch(batch(*records), self.handle, self.dead_letter)

    async def run_together(self, *records: dict[str, Any]) -> dict[str, Any]:
        return await handle_batch(batch(*records), self.handle, self.dead_letter, self.together)

    async def together(self, events: Sequence[Event]) -> list[Handled]:
        self.sizes.append(len(events))
        if self.away & {event.id for event in events}:
            raise ServiceAway("redis is away")
        return [await run(self.handle, event) for event in events]


@pytest.fixture
def function() -> Function:
    return Function()


async def test_a_good_batch_has_no_failures_and_keeps_each_partitions_order(function: Function) -> None:
    answer = await function.run(
        lambda_record(event("b"), 0, 2),
        lambda_record(event("c"), 0, 10),
        lambda_record(event("x"), 1, 7),
        lambda_record(event("a"), 0, 1),
    )
    assert answer == {"batchItemFailures": []}
    assert [name for name in function.handled if name != "x"] == ["a", "b", "c"]


async def test_a_partition_stops_at_its_first_failure_and_others_go_on(function: Function) -> None:
    function.away = {"b"}
    answer = await function.run(
        *[lambda_record(event(name), 0, place) for place, name in enumerate("abc")],
        *[lambda_record(event(name), 3, place) for place, name in enumerate("xyz")],
    )
    identifier = {"partition": "fraud.transactions-0", "offset": 1}
    assert answer == {"batchItemFailures": [{"itemIdentifier": identifier}]}
    assert sorted(function.handled) == ["a", "x", "y", "z"]


async def test_poison_goes_to_the_dead_letters_as_it_came_and_blocks_nothing(function: Function) -> None:
    function.poison = {"b"}
    answer = await function.run(*[lambda_record(event(name), 0, place) for place, name in enumerate("abc")])
    assert answer == {"batchItemFailures": []}
    assert function.handled == ["a", "c"]
    [dead] = function.dead
    assert (dead.topic, dead.partition, dead.offset, dead.reason) == ("fraud.transactions", 0, 1, "no such thing")
    assert (dead.key, dead.value, dead.headers) == cloudevents.to_kafka(event("b"))


@pytest.mark.parametrize(
    "damage",
    [
        {"value": "%%%"},
        {"value": None},
        {"value": 7},
        {"value": "é"},
        {"key": "%%%"},
        {"headers": None},
        {"headers": []},
        {"headers": [{"ce_id": "text"}]},
        {"headers": [{"ce_id": None}]},
        {"headers": [{"ce_id": 7}]},
        {"headers": [{"ce_id": [None]}]},
        {"headers": ["ce_id"]},
        {"headers": "ce_id"},
        {"headers": {"ce_id": [1]}},
        {"headers": 7},
        {"headers": [{"ce_id": [255, 254]}]},
    ],
    ids=str,
)
async def test_a_damaged_record_is_poison_and_blocks_nothing(function: Function, damage: dict[str, Any]) -> None:
    function.poison = set()
    bad = lambda_record(event("b"), 0, 1) | damage
    bad = {name: value for name, value in bad.items() if value is not None}
    answer = await function.run(lambda_record(event("a"), 0, 0), bad, lambda_record(event("c"), 0, 2))
    assert answer == {"batchItemFailures": []}
    if damage == {"value": None}:  # an empty event: this function does not mind
        assert function.handled == ["a", "b", "c"]
    else:
        assert function.handled == ["a", "c"]
        assert [dead.offset for dead in function.dead] == [1]


async def test_events_of_a_partition_are_handled_together_in_order(function: Function) -> None:
    records = [lambda_record(event(f"{k}"), 0, k) for k in range(300)]
    answer = await function.run_together(*reversed(records), lambda_record(event("x"), 1, 5))
    assert answer == {"batchItemFailures": []}
    assert [name for name in function.handled if name != "x"] == [f"{k}" for k in range(300)]
    assert max(function.sizes) <= 128
    assert len(function.sizes) == 4


async def test_together_too_poison_is_put_aside_and_blocks_nothing(function: Function) -> None:
    function.poison = {"b"}
    records = [lambda_record(event(name), 0, place) for place, name in enumerate("abcd")]
    records[2]["value"] = "%%%"
    assert await function.run_together(*records) == {"batchItemFailures": []}
    assert function.handled == ["a", "d"]
    assert [(dead.offset, dead.reason) for dead in function.dead] == [(1, "no such thing"), (2, "value is not base64")]


async def test_together_a_service_that_is_away_makes_all_come_again(function: Function) -> None:
    function.away = {"a", "b", "c"}
    answer = await function.run_together(*[lambda_record(event(name), 0, place) for place, name in enumerate("abc", 7)])
    identifier = {"partition": "fraud.transactions-0", "offset": 7}
    assert answer == {"batchItemFailures": [{"itemIdentifier": identifier}]}
    assert function.sizes == [3, 1]


async def test_together_one_event_that_fails_holds_up_only_those_after_it(function: Function) -> None:
    function.away = {"c"}
    answer = await function.run_together(*[lambda_record(event(name), 0, place) for place, name in enumerate("abcd")])
    identifier = {"partition": "fraud.transactions-0", "offset": 2}
    assert answer == {"batchItemFailures": [{"itemIdentifier": identifier}]}
    assert function.handled == ["a", "b"]


async def test_a_number_for_a_header_is_poison_not_so_many_zeros(function: Function) -> None:
    record = lambda_record(event("a"), 0, 0)
    record["headers"].append({"ce_subject": 7})
    assert await function.run(record) == {"batchItemFailures": []}
    assert [dead.offset for dead in function.dead] == [0]


async def test_poison_that_nobody_takes_comes_again(function: Function) -> None:
    function.poison, function.dead_letters_away = {"b"}, True
    answer = await function.run(
        *[lambda_record(event(name), 0, place) for place, name in enumerate("abc")], lambda_record(event("x"), 1, 5)
    )
    identifier = {"partition": "fraud.transactions-0", "offset": 1}
    assert answer == {"batchItemFailures": [{"itemIdentifier": identifier}]}
    assert sorted(function.handled) == ["a", "x"]


@pytest.mark.parametrize(
    "payload", [{}, None, [], {"eventSource": "aws:sqs", "records": {}}, {"eventSource": "aws:kafka"}]
)
async def test_other_triggers_are_refused(function: Function, payload: Any) -> None:
    with pytest.raises(ForeignEvent):
        await handle_batch(payload, function.handle, function.dead_letter)


def test_one_event_loop_serves_all_invocations(function: Function) -> None:
    loops = set()

    async def handle(one: Event) -> None:
        loops.add(asyncio.get_running_loop())

    trigger = KafkaTrigger(handle, "unused:1")
    for _ in range(3):
        assert trigger(batch(lambda_record(event("a"), 0, 0))) == {"batchItemFailures": []}
    assert len(loops) == 1
