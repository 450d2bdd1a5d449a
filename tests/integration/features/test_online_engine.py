"""How the online engine behaves on a real server, beside its answers."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from shared.batching import Batcher
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE
from shared.features.online import FeatureRead, OnlineFeatures, ReadStatus
from shared.features.online.layout import Limits
from tests.support.features.oracle import DAY, Tx
from tests.support.features.valkey import free_port

T0 = 1_790_000_000_000


def tx(number: int, **changes: object) -> Tx:
    return Tx(**{"transaction_id": f"t{number}", "card_id": "c", "event_time_ms": T0, "amount_minor": 100, **changes})


async def count(features: OnlineFeatures, one: Tx) -> int:
    (read,) = await features.record_and_read([one])
    return read.values[CATALOGUE.names.index("txn_count_24h")]


async def test_a_transaction_of_the_contract(features: OnlineFeatures) -> None:
    example = Transaction.model_config["json_schema_extra"]["examples"][0]
    (read,) = await features.record_and_read([Transaction.model_validate(example)])
    assert read.status is ReadStatus.NEW
    values = dict(zip(CATALOGUE.names, read.values, strict=True))
    assert (values["amount"], values["txn_count_10m"], values["distinct_cities_1h"]) == (4_990, 1, 1)


async def test_a_flushed_script_is_loaded_again(redis: Redis, features: OnlineFeatures) -> None:
    await features.record_and_read([tx(1)])
    await redis.script_flush()
    reads = await features.record_and_read([tx(2), tx(1), tx(3, card_id="other")])
    assert [read.status.name for read in reads] == ["NEW", "SEEN", "NEW"]


async def test_a_connection_the_server_closed_is_replaced(redis: Redis, features: OnlineFeatures) -> None:
    await features.record_and_read([tx(1)])
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert await count(features, tx(2)) == 2


async def test_no_server_is_an_error() -> None:
    async with Redis(port=free_port(), retry=None) as redis:
        with pytest.raises(RedisConnectionError):
            await OnlineFeatures(redis).record_and_read([tx(1)])


async def test_a_slow_server_may_be_given_up_and_recovers(redis: Redis, features: OnlineFeatures) -> None:
    await features.record_and_read([tx(1)])
    await redis.client_pause(400, all=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await features.record_and_read([tx(k) for k in range(2, 5)])
    await redis.client_unpause()
    (read,) = await features.record_and_read([tx(9)])
    # The transactions of the missed deadline were on their way: recorded or not, answers are not mixed up.
    assert read.status is ReadStatus.NEW
    assert await count(features, tx(1)) in (2, 5)


async def test_concurrent_reads_share_round_trips(features: OnlineFeatures) -> None:
    batcher = Batcher(features.record_and_read, max_batch=16)
    reads = await asyncio.gather(*[batcher.submit(tx(k)) for k in range(100)])
    at = CATALOGUE.names.index("txn_count_24h")
    assert [read.values[at] for read in reads] == list(range(1, 101)), "the order of a card is kept"


async def test_two_engines_on_one_card_count_each_transaction_once(valkey_port: int, redis: Redis) -> None:
    async with Redis(port=valkey_port) as other:
        engines = [OnlineFeatures(redis), OnlineFeatures(other)]
        stream = [tx(k) for k in range(50)]
        await asyncio.gather(*[engine.record_and_read([one]) for one in stream for engine in engines])
        assert await count(engines[0], stream[0]) == 50


async def test_keys_of_a_card_expire_together_and_late(redis: Redis, features: OnlineFeatures) -> None:
    await features.record_and_read([tx(1, card_id="{odd}")])
    keys = [key async for key in redis.scan_iter("f:*")]
    lives = [await redis.pttl(key) for key in keys]
    assert len(keys) == 2
    assert all(39 * DAY < life <= 40 * DAY for life in lives)
    for key in keys:
        await redis.pexpire(key, 32 * DAY)
    await features.record_and_read([tx(2, card_id="{odd}")])
    assert all([await redis.pttl(key) > 39 * DAY for key in keys])


async def test_keys_of_a_large_card_outlive_its_log(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=Limits(small=4, block=3, page=2, bucket=150, sweep=2))
    stream = [tx(k, event_time_ms=T0 - k % 9 * DAY, city=f"city {k}") for k in range(200)]
    await features.record_and_read(stream)
    for key in [key async for key in redis.scan_iter("f:*", count=1000)]:
        await redis.pexpire(key, 34 * DAY)
    await features.record_and_read([tx(k) for k in range(500, 520)])
    assert await redis.pttl("f:{c}:l") <= 34 * DAY, "sealing does not let the log outlive what was sealed before"
    for key in [key async for key in redis.scan_iter("f:*", count=1000)]:
        await redis.pexpire(key, 32 * DAY)
    await features.record_and_read([tx(1_000)])
    lives = {key: await redis.pttl(key) async for key in redis.scan_iter("f:*", count=1000)}
    assert len(lives) > 20
    assert min(lives.values()) > 39 * DAY, lives
    await features.aclose()


async def test_memory_is_bounded_by_what_is_remembered(redis: Redis, features: OnlineFeatures) -> None:
    async def size() -> int:
        return sum([await redis.strlen(key) async for key in redis.scan_iter("f:*")])

    stream = [tx(k, event_time_ms=T0 + k * DAY // 3, merchant_id=f"merchant {k}") for k in range(1500)]
    await features.record_and_read(stream[:110])
    full = await size()
    await features.record_and_read(stream[110:])
    assert await size() < 1.4 * full


async def test_memory_of_a_large_card_is_bounded_too(redis: Redis) -> None:
    async def size() -> int:
        return sum([await redis.memory_usage(key, samples=0) async for key in redis.scan_iter("f:*", count=1000)])

    features = OnlineFeatures(redis, limits=Limits(small=40, block=16, page=4, bucket=500, sweep=16))
    stream = [
        tx(k, event_time_ms=T0 + k * DAY // 20 - k % 7 * DAY, merchant_id=f"merchant {k}", city=f"city {k % 90}")
        for k in range(6_000)
    ]
    await features.record_and_read(stream[:1_500])
    full = await size()
    await features.record_and_read(stream[1_500:])
    assert await size() < 1.5 * full
    await features.aclose()


async def test_sums_beyond_the_range_of_doubles_are_exact(redis: Redis, features: OnlineFeatures) -> None:
    amount = 10**12 - 1
    for start in range(0, 10_000, 500):
        reads = await features.record_and_read([tx(k, amount_minor=amount) for k in range(start, start + 500)])
    values = dict(zip(CATALOGUE.names, reads[-1].values, strict=True))
    assert values["total_amount_10m"] == 10_000 * amount > 2**53
    assert values["avg_amount_30d"] == amount
    assert values["amount_zscore"] == 0.0, "the deviation of equal amounts is nothing, to the last unit"


async def test_limbs_of_a_scan_are_carried(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=Limits(small=30_000))
    amount = 10**12 - 1
    await features.record_and_read([tx(1, amount_minor=amount)])
    log = await redis.get("f:{c}:l")
    await redis.set("f:{c}:l", log[:1] + log[1:] * 20_000)
    (read,) = await features.record_and_read([tx(2, amount_minor=amount)])
    values = dict(zip(CATALOGUE.names, read.values, strict=True))
    assert values["total_amount_10m"] == 20_001 * amount > 2**53
    assert values["amount_zscore"] == 0.0
    await features.aclose()


async def test_a_key_of_a_wrong_type_harms_its_own_transactions_alone(redis: Redis, features: OnlineFeatures) -> None:
    await redis.hset("f:{bad}:l", "not", "a string")
    await redis.set("m:{odd}:d", "not a hash")
    some = [tx(1), tx(2, card_id="bad"), tx(3), tx(4, card_id="other", merchant_id="odd")]
    first, wrong, second, told = await features.record_and_read_each(some)
    assert isinstance(first, FeatureRead)
    assert isinstance(second, FeatureRead)
    assert second.values[CATALOGUE.names.index("txn_count_24h")] == 2
    assert isinstance(wrong, ResponseError)
    assert isinstance(told, ResponseError)
    statuses = await features.record_each([tx(1), tx(2, card_id="bad")])
    assert statuses[0] is ReadStatus.SEEN
    assert isinstance(statuses[1], ResponseError)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await features.record_and_read(some[:2])
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await features.record(some[:2])
