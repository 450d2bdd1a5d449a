"""Work for the broker whose cache is recorded: `python -m shared.backing.aot_exercise ADDRESS`.

A process of its own, because a Kafka client whose broker has gone can neither be cancelled nor closed for a minute.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from confluent_kafka import Consumer, Producer

from shared.bus.topics import TRANSACTIONS

_RECORDS: Final = 500


def exercise(address: str) -> None:
    """Produce, consume in a group and commit: the classes that a broker in use loads."""
    common = {"bootstrap.servers": address, "log_level": 0}
    producer = Producer(common | {"enable.idempotence": True})
    for number in range(_RECORDS):
        producer.produce(TRANSACTIONS, key=str(number), value=b"x" * 300, headers={"ce_id": str(number)})
    producer.flush(30)
    consumer = Consumer(common | {"group.id": "recording", "auto.offset.reset": "earliest"})
    consumer.subscribe([TRANSACTIONS])
    seen, deadline = 0, time.monotonic() + 60
    while seen < _RECORDS and time.monotonic() < deadline:
        seen += len(consumer.consume(_RECORDS, timeout=1))
    consumer.commit(asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    exercise(sys.argv[1])
