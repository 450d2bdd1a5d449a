"""Sends hostile records to the running system's topics, and checks that each is put aside and none is in the way.

make up && python -m tests.e2e.verify_hostile --records 10000
"""

from __future__ import annotations

import argparse
import base64
import random
import sys
import time
from collections import Counter
from typing import Any

import orjson
from confluent_kafka import Producer

from shared.bus import topics
from shared.bus.publisher import producer_settings
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from tests.e2e.running import SILENT, System

LARGE = 900_000
RUN_HEADER = "verify-run"


def hostile(
    chance: random.Random, run: str, number: int
) -> tuple[str, bytes | None, bytes | None, list[tuple[str, Any]]]:
    """One record that no function can handle: kind, key, value, headers."""
    valid = _transaction(run, number)
    binary = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"x"),
        ("ce_source", b"/x"),
        ("ce_type", cloudevents.TRANSACTION.encode()),
    ]
    kinds: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, Any]]]] = {
        "random bytes": (chance.randbytes(8), chance.randbytes(chance.randrange(1, 400)), []),
        "random headers": (
            None,
            b"{}",
            [(f"h{chance.randrange(9)}", chance.randbytes(20)), ("ce_id", chance.randbytes(9))],
        ),
        "null value": (b"k", None, [*binary]),
        "null everything": (None, None, []),
        "not an object": (b"k", b"[1,2,3]", [*binary]),
        "wrong types": (b"k", orjson.dumps(valid | {"amount": {"a": 1}, "card_id": 7, "timestamp": True}), [*binary]),
        "card number": (b"k", orjson.dumps(valid | {"card_id": "4111111111111111"}), [*binary]),
        "from the future": (b"k", orjson.dumps(valid | {"timestamp": "2199-01-01T00:00:00Z"}), [*binary]),
        "foreign event": (b"k", b'{"hello": "world"}', [*binary[:3], ("ce_type", b"com.example.order.v1")]),
        "header injection": (b"k", b"{}", [*binary[:2], ("ce_source", b"/x\r\nx-evil: 1"), binary[3]]),
        "deep nesting": (b"k", b"[" * 5_000, [*binary]),
        "structured junk": (b"k", b'{"specversion": 1', [("content-type", b"application/cloudevents+json")]),
    }
    if number % 500 == 0:
        return "900 kB", b"k", chance.randbytes(LARGE), [*binary]
    kind = chance.choice(list(kinds))
    return (kind, *kinds[kind])


def _transaction(run: str, number: int) -> dict[str, Any]:
    return {
        "transaction_id": f"hostile-{run}-{number}",
        "card_id": f"hostile-card-{run}-{number % 7}",
        "amount": "1.00",
        "currency": "EUR",
        "merchant_id": "m-1",
        "timestamp": cloudevents.event_time(time.time_ns() // 1_000_000),
    }


def verify(count: int, seed: int) -> bool:
    """Run the check; returns whether every promise held."""
    system = System.find()
    chance = random.Random(seed)
    run = f"{seed}-{time.time_ns() // 1_000_000:x}"
    before = system.end_offsets(topics.DEAD_LETTERS)
    producer = Producer(producer_settings(system.state.kafka, 100_000), logger=SILENT)
    sent: Counter[str] = Counter()
    valid: Counter[str] = Counter()
    for number in range(count):
        kind, key, value, headers = hostile(chance, run, number)
        _produce(producer, key, value, [*headers, (RUN_HEADER, run.encode())], number % 8)
        sent[kind] += 1
        if number % 10 == 0:  # valid ones between them
            transaction = _transaction(run, number)
            event = Event(
                transaction["transaction_id"], "/verify", cloudevents.TRANSACTION, orjson.dumps(transaction),
                partition_key=transaction["card_id"],
            )  # fmt: skip
            event_key, event_value, event_headers = cloudevents.to_kafka(event)
            _produce(producer, event_key, event_value, [*event_headers], number % 8)
            valid[transaction["card_id"]] += 1
    producer.flush(120)
    system.wait_delivered(600)

    ours = 0
    reasons: Counter[str] = Counter()
    unexplained = 0
    for message in system.records(topics.DEAD_LETTERS, before):
        headers = dict(message.headers() or [])
        if headers.get(RUN_HEADER) != run.encode() or not headers["ce_knativeerrordest"].startswith(b"http"):
            continue  # the archiver puts aside what it finds on the topic too, and names the record, not an address
        ours += 1
        reason = _reason(headers)
        unexplained += not reason
        reasons[reason[:100]] += 1
    wrong_cards = sum(_count_of(system, run, card) != number for card, number in valid.items())
    print(f"seed {seed}: {count} hostile records of {len(sent)} kinds, {sum(valid.values())} valid ones between them")
    for reason, number in reasons.most_common(12):
        print(f"  {number:6d}  {reason}")
    print(f"{count - ours} not in dead letters, {unexplained} there without a reason")
    print(f"{wrong_cards} cards with a wrong count")
    return ours == count and not unexplained and not wrong_cards


def _reason(headers: dict[str, bytes]) -> str:
    """What the function, or the delivery itself, said of the record."""
    data = base64.b64decode(headers.get("ce_knativeerrordata", b""))
    try:
        return str(orjson.loads(data)["detail"])
    except (orjson.JSONDecodeError, KeyError):
        return data.decode(errors="replace")


def _count_of(system: System, run: str, card: str) -> int:
    probe = _transaction(run, 0) | {"transaction_id": f"probe-{run}-{card}", "card_id": card}
    answer = system.http.request("POST", f"{system.state.scorer_url}/v1/score?details=true", json=probe)
    return int(orjson.loads(answer.data)["features"]["txn_count_24h"]) - 1


def _produce(producer: Producer, key: Any, value: Any, headers: list[Any], partition: int) -> None:
    while True:
        try:
            producer.produce(topics.TRANSACTIONS, value, key, headers=headers, partition=partition)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return 0 if verify(options.records, options.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
