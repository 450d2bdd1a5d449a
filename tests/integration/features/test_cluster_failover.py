"""A primary of a real cluster is killed while transactions are recorded; its replica takes over.

A cluster copies writes to replicas after it has acknowledged them. So a write is one that the cluster itself kept when
its replica had acknowledged it before the kill (`Cluster.settle`): none of those may be missing. Of the writes of the
last moments some may be; sent again, as Kafka's delivery does, each is recorded once and no answer shows that it
happened. All of it by one client that is never restarted.
"""

import asyncio
import time
from collections.abc import Iterator

import pytest
from redis.asyncio import RedisCluster
from redis.exceptions import RedisError

from shared.features.online import FeatureRead, OnlineFeatures, ReadStatus
from tests.support.features.checking import expected, mismatches, online_answers
from tests.support.features.oracle import MINUTE, Tx
from tests.support.features.valkey_cluster import Cluster, valkey_cluster

CARDS = 30
RECOVERY_SECONDS = 30.0
T0 = 1_790_000_000_000


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with valkey_cluster(replicated=True) as running:
        yield running


def batch(number: int) -> list[Tx]:
    """One transaction of each card."""
    return [
        Tx(
            f"t{number}",
            f"card {card}",
            T0 + number * MINUTE + card,
            100 + number,
            f"m{number % 7}",
            city=f"c{number % 5}",
        )
        for card in range(CARDS)
    ]


async def acknowledged(features: OnlineFeatures, transactions: list[Tx]) -> list[FeatureRead]:
    """Record transactions, again and again until the store has taken them."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            async with asyncio.timeout(2):
                return await features.record_and_read(transactions)  # type: ignore[arg-type]
        except (RedisError, OSError, TimeoutError):
            assert time.monotonic() < deadline, f"no answer within {RECOVERY_SECONDS} s of the kill"
            await asyncio.sleep(0.05)


async def test_no_write_that_a_replica_had_is_lost_and_the_client_goes_on(cluster: Cluster) -> None:
    async with RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        features = OnlineFeatures(client)
        batches = [batch(number) for number in range(140)]
        for one in batches[:50]:
            await acknowledged(features, one)
        cluster.settle()

        async def go_on() -> None:
            for one in batches[50:]:
                await acknowledged(features, one)

        writing = asyncio.create_task(go_on())
        await asyncio.sleep(0.05)
        assert not writing.done(), "the kill has to come while transactions are recorded"
        killed = cluster.primaries[1]
        await asyncio.to_thread(cluster.kill, killed)
        await writing
        assert cluster.replicas[1].replication()["role"] == "master"

        settled = [read for one in batches[:50] for read in await acknowledged(features, one)]
        assert {read.status for read in settled} == {ReadStatus.SEEN}
        later = [read.status for one in batches[50:] for read in await acknowledged(features, one)]
        assert set(later) <= {ReadStatus.SEEN, ReadStatus.NEW}
        print(f"{later.count(ReadStatus.NEW)} of {len(later)} later writes had not reached the replica")

        stream = [tx for one in batches for tx in one]
        wanted = [("seen", values) for _, values in expected(stream)]
        assert mismatches(stream, await online_answers(features, stream, 64), wanted) == []
