"""This system's contender: the feature updater's own Kafka trigger, fed as AWS Lambda feeds it.

python -m tests.benchmarks.streams.ours BOOTSTRAP TOPIC COUNT RESULTS REDIS_URL
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from confluent_kafka import Consumer

from functions.feature_updater.composition import compose
from functions.feature_updater.settings import UpdaterSettings
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.kinds import count, mean, total
from shared.features.online import FeatureRead, OnlineFeatures
from shared.features.online.client import connect
from tests.benchmarks.streams.results import Results
from tests.benchmarks.streams.traffic import WINDOWS_MS
from tests.support.lambda_kafka import invocation

BATCH = 2_000
_KINDS = {"txn_count": count, "total_amount": total, "avg_amount": mean}
_NAMES = [f"{kind}_{window}" for window in ("10m", "1h", "24h") for kind in _KINDS]


def with_all_windows() -> Catalogue:
    """The system's catalogue and what it lacks of number, sum and mean in the three windows."""
    lacking = [
        _KINDS[name.rsplit("_", 1)[0]](name, WINDOWS_MS[number // len(_KINDS)])
        for number, name in enumerate(_NAMES)
        if name not in CATALOGUE.names
    ]
    return Catalogue((*CATALOGUE.features, *lacking), CATALOGUE.settings)


class Noting:
    """The store, with each answer put aside as it comes."""

    def __init__(self, features: OnlineFeatures) -> None:
        self.answers: list[tuple[int, Sequence[Transaction], list[FeatureRead]]] = []
        self._features = features

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        reads = await self._features.record_and_read(transactions)
        self.answers.append((time.time_ns(), transactions, reads))
        return reads


def main() -> None:
    """Take in the topic and leave the results."""
    logging.disable(logging.INFO)
    bootstrap, topic, number_of_events, path, redis_url = sys.argv[1:]
    settings = UpdaterSettings(redis_url=redis_url, kafka_bootstrap_servers=bootstrap)  # type: ignore[arg-type]
    catalogue = with_all_windows()
    store = Noting(OnlineFeatures(connect(redis_url), catalogue))
    trigger = compose(settings, store, catalogue).kafka_trigger
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"ours-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.subscribe([topic])
    done, results, began = 0, Results(), 0.0
    while done < int(number_of_events):
        messages = consumer.consume(BATCH, 0.005)
        if not messages:
            continue
        began = began or time.perf_counter()
        if trigger(invocation(messages))["batchItemFailures"]:
            raise RuntimeError("the store did not take a batch")
        consumer.commit(asynchronous=True)
        done += len(messages)
        results.seconds = time.perf_counter() - began
    consumer.close()
    positions = [catalogue.names.index(name) for name in _NAMES]
    newest = 0
    for at_ns, transactions, reads in store.answers:
        newest = max(newest, *[one.event_time_ms for one in transactions])
        for one, read in zip(transactions, reads, strict=True):
            number, _, sent_ns = one.transaction_id.partition("/")
            results.values[int(number)] = [read.values[position] for position in positions]
            results.behind_ms.append(newest - one.event_time_ms)
            if sent_ns:
                results.age_ms.append((at_ns - int(sent_ns)) / 1e6)
    results.write(Path(path))
    sys.stdout.write(orjson.dumps({"seconds": results.seconds, "events": done}).decode() + "\n")


if __name__ == "__main__":
    main()
