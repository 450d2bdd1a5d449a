"""Puts the stream into a topic."""

from __future__ import annotations

import time
from collections.abc import Sequence

import orjson
from confluent_kafka import Producer

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import to_rfc3339
from tests.benchmarks.streams.traffic import Purchase


def produce(bootstrap: str, topic: str, stream: Sequence[Purchase], rate: float | None = None) -> None:
    """Write the stream as the system's transaction events, keyed by card.

    Args:
        bootstrap: The broker.
        topic: Where to.
        stream: What to write, in order.
        rate: Events per second; as fast as it goes when None. A paced event's id says when it was sent.
    """
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 1 if rate else 50, "partitioner": "murmur2_random"}
    )
    began = time.perf_counter()
    for place, one in enumerate(stream):
        if rate is not None:
            while time.perf_counter() < began + place / rate:
                producer.poll(0.0005)
        key, value, headers = cloudevents.to_kafka(event_of(one, time.time_ns() if rate else None))
        while True:
            try:
                producer.produce(topic, value=value, key=key, headers=headers)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    if producer.flush(60):
        raise RuntimeError("Kafka did not take the stream")


def event_of(one: Purchase, sent_ns: int | None) -> Event:
    """The event of a transaction; its id is its number, and when it was sent where that is asked for."""
    identity = str(one.number) if sent_ns is None else f"{one.number}/{sent_ns}"
    time_ = to_rfc3339(one.time_ms)
    document = {
        "transaction_id": identity,
        "card_id": one.card,
        "amount": f"{one.amount // 100}.{one.amount % 100:02}",
        "currency": "EUR",
        "merchant_id": f"m-{one.amount % 997}",
        "merchant_category": "grocery",
        "city": "Lisbon",
        "country": "PT",
        "latitude": 38.7223,
        "longitude": -9.1393,
        "channel": "pos",
        "timestamp": time_,
    }
    return Event(
        id=identity,
        source="/bench",
        type=cloudevents.TRANSACTION,
        data=orjson.dumps(document),
        subject=identity,
        time=time_,
        partition_key=one.card,
    )
