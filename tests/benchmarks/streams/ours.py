"""This system's contender: the feature updater's own Kafka trigger, fed as AWS Lambda feeds it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr
from redis.exceptions import ResponseError

from functions.feature_updater.composition import compose
from functions.feature_updater.settings import UpdaterSettings
from localstack.pump.kafka_batches import invocation
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.kinds import count, mean, total
from shared.features.online import OnlineFeatures, ReadStatus
from shared.features.online.client import connect
from shared.hosts.aws_kafka import KafkaTrigger
from tests.benchmarks.streams.results import Results
from tests.benchmarks.streams.traffic import WINDOWS_MS

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

    async def record_each(self, transactions: Sequence[Transaction]) -> list[ReadStatus | ResponseError]:
        reads = await self._features.record_and_read(transactions)
        for one, read in zip(transactions, reads, strict=True):
            self._results.taken_in(one.card_id, one.event_time_ms)
            values = [read.values[position] for position in self._positions]
            self._results.answered(one.card_id, one.transaction_id, one.event_time_ms, values)
        return [read.status for read in reads]


def take_in(consumer: Consumer, assigned: Sequence[TopicPartition], trigger: KafkaTrigger) -> tuple[float, float]:
    """Hand the partitions to the trigger, in batches, from the first to the last; when it began and ended."""
    left = sum(consumer.get_watermark_offsets(partition)[1] for partition in assigned)
    began = ended = 0.0
    while left:
        messages = consumer.consume(BATCH, 0.005)
        if not messages:
            continue
        began = began or time.time()
        if trigger(invocation(messages))["batchItemFailures"]:
            raise RuntimeError("the store did not take a batch")
        consumer.commit(asynchronous=True)
        left -= len(messages)
        ended = time.time()
    return began, ended


def follow(consumer: Consumer, count: int, trigger: KafkaTrigger) -> None:
    """Hand over what comes, one transaction or many, until there were so many."""
    while count:
        messages = consumer.consume(BATCH, 0.005)
        if messages:
            trigger(invocation(messages))
            count -= len(messages)


def main() -> None:
    """Wait for a line on standard input, take in the partitions, print when it began and ended."""
    logging.disable(logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.streams.ours")
    for name in ("bootstrap", "topic", "redis_url"):
        parser.add_argument(name)
    parser.add_argument("--partitions", type=int, nargs="+", required=True)
    parser.add_argument("--results", type=Path, help="note every answer, and leave them here")
    parser.add_argument("--follow", type=int, default=0, help="take so many as they come, not what is there")
    arguments = parser.parse_args()
    catalogue = with_all_windows()
    results = Results()
    settings = UpdaterSettings(redis_url=SecretStr(arguments.redis_url), kafka_bootstrap_servers=arguments.bootstrap)
    store = OnlineFeatures(connect(arguments.redis_url), catalogue)
    trigger = compose(settings, Noting(store, results) if arguments.results else store, catalogue).kafka_trigger
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "group.id": "ours",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    assigned = [TopicPartition(arguments.topic, partition, 0) for partition in arguments.partitions]
    consumer.assign(assigned)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if arguments.follow:
        follow(consumer, arguments.follow, trigger)
        began = ended = 0.0
    else:
        began, ended = take_in(consumer, assigned, trigger)
    consumer.close()
    if arguments.results:
        results.write(arguments.results)
    sys.stdout.write(f"{began} {ended}\n")


if __name__ == "__main__":
    main()
