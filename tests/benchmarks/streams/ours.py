"""This system's contender: the feature updater's own Kafka trigger, fed as AWS Lambda feeds it.

python -m tests.benchmarks.streams.ours BOOTSTRAP TOPIC COUNT RESULTS REDIS_URL
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Consumer
from pydantic import SecretStr

from functions.feature_updater.composition import compose
from functions.feature_updater.settings import UpdaterSettings
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.kinds import count, mean, total
from shared.features.online import OnlineFeatures, ReadStatus
from shared.features.online.client import connect
from shared.hosts.aws_kafka import KafkaTrigger
from tests.benchmarks.streams.results import Results
from tests.benchmarks.streams.traffic import WINDOWS_MS
from tests.support.lambda_kafka import invocation

BATCH = 2_000
_KINDS = {"txn_count": count, "total_amount": total, "avg_amount": mean}
NAMES = [f"{kind}_{window}" for window in ("10m", "1h", "24h") for kind in _KINDS]


def with_all_windows() -> Catalogue:
    """The system's catalogue and what it lacks of number, sum and mean in the three windows."""
    lacking = [
        _KINDS[name.rsplit("_", 1)[0]](name, WINDOWS_MS[number // len(_KINDS)])
        for number, name in enumerate(NAMES)
        if name not in CATALOGUE.names
    ]
    return Catalogue((*CATALOGUE.features, *lacking), CATALOGUE.settings)


class Noting:
    """The store, with the answer at each arrival put aside as it comes."""

    def __init__(self, features: OnlineFeatures, results: Results) -> None:
        self._features = features
        self._results = results
        self._positions = [features.catalogue.names.index(name) for name in NAMES]

    async def record(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        reads = await self._features.record_and_read(transactions)
        for one in transactions:
            self._results.taken_in(one.event_time_ms)
        for one, read in zip(transactions, reads, strict=True):
            number, _, sent_ns = one.transaction_id.partition("/")
            values = [read.values[position] for position in self._positions]
            self._results.answered(int(number), one.event_time_ms, int(sent_ns) if sent_ns else None, values)
        return [read.status for read in reads]


def take_in(bootstrap: str, topic: str, count: int, trigger: KafkaTrigger, group: str) -> float:
    """Hand the topic to the trigger, in batches, until it has had so many events; seconds since the first of them."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{group}-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.subscribe([topic])
    done, began, seconds = 0, 0.0, 0.0
    while done < count:
        messages = consumer.consume(BATCH, 0.005)
        if not messages:
            continue
        began = began or time.perf_counter()
        if trigger(invocation(messages))["batchItemFailures"]:
            raise RuntimeError("the store did not take a batch")
        consumer.commit(asynchronous=True)
        done += len(messages)
        seconds = time.perf_counter() - began
    consumer.close()
    return seconds


def main() -> None:
    """Take in the topic twice: as the function does, for the time it takes, and noting what a scorer would read."""
    logging.disable(logging.INFO)
    bootstrap, topic, count, path, redis_url = sys.argv[1:]
    catalogue = with_all_windows()
    settings = UpdaterSettings(redis_url=SecretStr(f"{redis_url}/0"), kafka_bootstrap_servers=bootstrap)
    results = Results()
    noting = Noting(OnlineFeatures(connect(f"{redis_url}/1"), catalogue), results)
    take_in(bootstrap, topic, int(count), compose(settings, noting, catalogue).kafka_trigger, "noting")
    plain = compose(settings, catalogue=catalogue).kafka_trigger
    results.seconds = take_in(bootstrap, topic, int(count), plain, "plain")
    results.write(Path(path))


if __name__ == "__main__":
    main()
