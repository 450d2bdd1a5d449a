"""The online engine on a real cluster of three primaries."""

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from shared.features.online import OnlineFeatures, ReadStatus
from shared.features.online.client import connect
from shared.features.online.layout import Limits
from tests.support.features.checking import expected, mismatches, online_answers
from tests.support.features.merchant_streams import random_merchant_stream
from tests.support.features.oracle import Tx
from tests.support.features.streams import random_stream
from tests.support.features.valkey_cluster import valkey_cluster
from tests.verification.comparison import compare
from tests.verification.worlds import world


@pytest.fixture(scope="module")
def cluster_port() -> Iterator[int]:
    with valkey_cluster() as cluster:
        yield cluster.port


@pytest.mark.parametrize("limits", [Limits(), Limits(small=4, block=3, page=2, bucket=150, sweep=2)])
async def test_answers_on_a_cluster_are_the_same(cluster_port: int, limits: Limits) -> None:
    cards = ["c", "{", "}", "a}b", "{}", *[f"card{k}" for k in range(12)]]
    stream = random_stream(11, 900, cards)
    async with RedisCluster(host="127.0.0.1", port=cluster_port) as cluster:
        await cluster.flushall(target_nodes=RedisCluster.PRIMARIES)
        features = OnlineFeatures(cluster, limits=limits)
        assert mismatches(stream, await online_answers(features, stream, 32), expected(stream)) == []
        spread = [await _size(node.port) for node in cluster.get_primaries()]
        assert min(spread) > 0, "every node holds cards"


async def test_answers_of_merchants_on_a_cluster_are_the_same(cluster_port: int) -> None:
    stream = random_merchant_stream(12, 600, ["c", "{", "d"])
    async with RedisCluster(host="127.0.0.1", port=cluster_port) as cluster:
        await cluster.flushall(target_nodes=RedisCluster.PRIMARIES)
        features = OnlineFeatures(cluster)
        assert mismatches(stream, await online_answers(features, stream, 16), expected(stream)) == []


@pytest.mark.parametrize("number", range(8))
async def test_hostile_worlds_on_a_cluster(cluster_port: int, number: int) -> None:
    async with RedisCluster(host="127.0.0.1", port=cluster_port) as cluster:
        assert (await compare(world(12, number, 500), cluster)).lines == []


async def test_a_script_that_one_node_lost_is_loaded_again(cluster_port: int) -> None:
    async with RedisCluster(host="127.0.0.1", port=cluster_port) as cluster:
        features = OnlineFeatures(cluster)
        await cluster.execute_command("SCRIPT FLUSH", target_nodes=RedisCluster.PRIMARIES)
        reads = await features.record_and_read([Tx("t", f"flushed{k}", 1_790_000_000_000, 1) for k in range(20)])
        assert {read.status for read in reads} == {ReadStatus.NEW}


async def test_the_address_of_one_node_leads_to_the_cluster(cluster_port: int) -> None:
    async with connect(f"redis+cluster://127.0.0.1:{cluster_port}") as cluster:
        assert isinstance(cluster, RedisCluster)
        features = OnlineFeatures(cluster)
        reads = await features.record_and_read([Tx("t", f"addressed{k}", 1_790_000_000_000, 1) for k in range(20)])
        assert {read.status for read in reads} == {ReadStatus.NEW}


async def _size(port: int) -> int:
    async with Redis(port=port) as node:
        return int(await node.dbsize())


async def test_a_key_of_a_wrong_type_harms_its_own_transactions_alone(cluster_port: int) -> None:
    async with RedisCluster(host="127.0.0.1", port=cluster_port) as cluster:
        await cluster.hset("f:{bad}:l", "not", "a string")
        await cluster.hset("m:{odd}:s", "not", "a string")
        features = OnlineFeatures(cluster)
        some = [
            Tx(f"wrong{k}", card, 1_790_000_000_000, 100, merchant)
            for k, (card, merchant) in enumerate([("good", "m"), ("bad", "m"), ("fine", "odd"), ("good", "m")])
        ]
        reads = await features.record_and_read_each(some)
        assert [isinstance(read, ResponseError) for read in reads] == [False, True, True, False]
        assert [isinstance(read, ResponseError) for read in await features.record_each(some[:2])] == [False, True]
