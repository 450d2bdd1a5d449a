"""Features of merchants: both engines against the oracle, and what becomes of labels and of failures."""

import asyncio
import random
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, note, settings
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.features.catalogue import CATALOGUE, Catalogue, Entity
from shared.features.definition import DAY_MS
from shared.features.kinds import merchant_count, merchant_risk
from shared.features.online import LabelOutcome, OnlineFeatures, ReadStatus
from shared.features.online.layout import Limits
from tests.support.features.checking import (
    Answer,
    expected,
    history_answers,
    mismatches,
    online_answers,
    replay,
    transactions_of,
)
from tests.support.features.merchant_streams import Item, hostile_merchant_streams, random_merchant_stream
from tests.support.features.oracle import DAY, HOUR, Label, Tx

NOON = 20_500 * DAY + 12 * HOUR
FEW_DIGESTS = Limits(digests=1)
AT = {name: CATALOGUE.names.index(name) for name in CATALOGUE.names}


def tx(number: int, days_ago: float = 0, **changes: object) -> Tx:
    given = {"transaction_id": f"t{number}", "card_id": f"c{number}", "amount_minor": 100}
    return Tx(**{**given, "event_time_ms": NOON - int(days_ago * DAY), **changes})


def label_of(one: Tx, known_days_ago: float = 0, *, is_fraud: bool = True) -> Label:
    return Label(
        one.transaction_id,
        one.card_id,
        one.merchant_id,
        one.event_time_ms,
        is_fraud,
        NOON - int(known_days_ago * DAY),
    )


async def read(features: OnlineFeatures, one: Tx, *names: str) -> list[object]:
    (found,) = await features.record_and_read([one])
    return [found.values[AT[name]] for name in names]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(stream=hostile_merchant_streams())
def test_both_engines_answer_like_the_oracle(stream: list[Item], valkey_port: int) -> None:
    note(replay(stream))
    wanted = expected(stream)

    async def online() -> list[Answer]:
        async with Redis(port=valkey_port) as redis:
            await redis.flushall()
            return await online_answers(OnlineFeatures(redis, limits=FEW_DIGESTS), stream)

    assert mismatches(stream, asyncio.run(online()), wanted) == []
    assert mismatches(stream, history_answers(stream), wanted) == []


@pytest.mark.parametrize(("seed", "batch"), [(1, 1), (2, 16), (3, 64), (4, 7), (5, 1)])
async def test_long_streams(redis: Redis, seed: int, batch: int) -> None:
    stream = random_merchant_stream(seed, 800, ["c", "d", "e"])
    wanted = expected(stream)
    assert {status for status, _ in wanted} == {"new", "seen", "conflict", "too_late"}
    assert sum(bool(values["merchant_risk_30d"]) for _, values in wanted) > 20
    for limits in (Limits(), FEW_DIGESTS, Limits(digests=2)):
        await redis.flushall()
        features = OnlineFeatures(redis, limits=limits)
        assert mismatches(stream, await online_answers(features, stream, batch), wanted) == []
        await features.aclose()
    assert mismatches(stream, history_answers(stream), wanted) == []


async def test_windows_end_a_label_delay_before_the_day(redis: Redis, features: OnlineFeatures) -> None:
    midnight = NOON // DAY * DAY
    edges = [-38 * DAY + 12 * HOUR, -37 * DAY - 1, -37 * DAY, -14 * DAY - 1, -14 * DAY, -8 * DAY - 1, -8 * DAY]
    edges += [-7 * DAY - 1, -7 * DAY, -1, 0]
    await features.record_and_read([tx(k, event_time_ms=midnight + edge) for k, edge in enumerate(edges)])
    for last in (midnight, midnight + DAY - 1):
        counts = await read(
            features,
            tx(99, event_time_ms=last),
            "merchant_txn_count_1d",
            "merchant_txn_count_7d",
            "merchant_txn_count_30d",
        )
        assert counts == [2, 4, 6]


async def test_a_redelivered_topic_in_any_order_leaves_the_same_answers(redis: Redis) -> None:
    stream = [
        replace(item, card_id=f"{item.card_id} {number}") if isinstance(item, Tx) else item
        for number, item in enumerate(random_merchant_stream(9, 300, ["c"]))
    ]
    first = {one.card_id: one for one in transactions_of(stream)}
    labels = [label_of(one, 40 - k % 80, is_fraud=k % 3 > 0) for k, one in enumerate([*first.values()] * 3)]
    stream = [*first.values(), *labels]
    newest = max(one.event_time_ms for one in first.values())
    probes = [
        Tx(f"p{k}", f"p{k}", newest + (k - 20) * DAY, 1, merchant) for k in range(30) for merchant in ("m", "{m}")
    ]
    answers = []
    for seed in range(3):
        await redis.flushall()
        features = OnlineFeatures(redis, limits=FEW_DIGESTS)
        delivered = stream * 3
        random.Random(seed).shuffle(delivered)
        await online_answers(features, delivered, 32)
        answers.append(await online_answers(features, [*probes, *probes], 1))
        await features.aclose()
    assert answers[0] == answers[1] == answers[2]
    assert any(values["merchant_risk_30d"] for _, values in answers[0])


async def test_nothing_is_answered_with_nothing(features: OnlineFeatures) -> None:
    assert await features.record_and_read([]) == []
    assert await features.label([]) == []


async def test_what_becomes_of_a_label(features: OnlineFeatures) -> None:
    old, fresh, forgotten = tx(1, 10), tx(2), tx(3, 100)
    assert await features.label([label_of(old, 5)]) == [LabelOutcome.WAITING]
    await features.record_and_read([old, fresh])
    assert await read(features, fresh, "merchant_risk_7d") == [1.0]
    again = [label_of(old, 5), label_of(old, 4, is_fraud=False), label_of(forgotten), label_of(tx(4, 9))]
    assert await features.label(again) == [
        LabelOutcome.KNOWN,
        LabelOutcome.APPLIED,
        LabelOutcome.TOO_LATE,
        LabelOutcome.WAITING,
    ]
    assert await read(features, fresh, "merchant_risk_7d") == [0.0], "the reversal holds"
    await features.label([label_of(old, 3)])
    assert await read(features, fresh, "merchant_risk_7d") == [1.0], "and so does the label after it"


async def test_a_merchant_that_could_not_be_told_is_told_by_whoever_comes_next(redis: Redis) -> None:
    await redis.set("m:{m}:d", "not a hash")
    features = OnlineFeatures(redis)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await features.record_and_read([tx(1), tx(2)])
    await redis.delete("m:{m}:d")
    reads = await features.record_and_read([tx(1), tx(2)])
    assert [one.status for one in reads] == [ReadStatus.SEEN, ReadStatus.SEEN]
    assert await read(features, tx(9, -8), "merchant_txn_count_1d") == [2]
    await features.aclose()


async def test_a_process_killed_right_after_its_answer_has_told_the_merchant(valkey_port: int, redis: Redis) -> None:
    code = f"""
import asyncio, os, signal
from redis.asyncio import Redis
from shared.features.online import OnlineFeatures
from tests.support.features.oracle import Tx
async def main():
    features = OnlineFeatures(Redis(port={valkey_port}))
    await features.record_and_read([Tx(f"t{{k}}", f"c{{k}}", {NOON}, 100) for k in range(20)])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    features = OnlineFeatures(redis)
    assert await read(features, tx(99, -8), "merchant_txn_count_1d") == [20]
    await features.aclose()


async def test_a_catalogue_without_merchants_makes_no_merchant_call(redis: Redis) -> None:
    without = Catalogue(tuple(one for one in CATALOGUE if one.entity is not Entity.MERCHANT))
    features = OnlineFeatures(redis, without)
    await features.record_and_read([tx(1)])
    assert [key async for key in redis.scan_iter("m:*")] == []
    await features.aclose()


async def test_another_label_delay_and_window_are_answered_by_both_engines(redis: Redis) -> None:
    three_days = (merchant_count("merchant_txn_count_3d", 3), merchant_risk("merchant_risk_3d", 3))
    catalogue = Catalogue(three_days, replace(CATALOGUE.settings, label_delay_ms=2 * DAY_MS))
    stream = random_merchant_stream(3, 500, ["c", "d"])
    features = OnlineFeatures(redis, catalogue)
    got = await online_answers(features, stream, 9, catalogue)
    await features.aclose()
    assert got == history_answers(stream, catalogue)
    assert len({values["merchant_risk_3d"] for _, values in got}) > 5


async def test_memory_of_a_merchant_is_bounded_and_expires(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=Limits(digests=8))
    sizes = []
    for days in range(0, 300, 10):
        some = [tx(k, -days - k % 10, transaction_id=f"{days} {k}") for k in range(200)]
        await features.record_and_read(some)
        await features.label([label_of(one, -days - 20) for one in some[::7]])
        keys = [key async for key in redis.scan_iter("m:*", count=1000)]
        sizes.append(sum([await redis.memory_usage(key) for key in keys]))
        lives = [await redis.pttl(key) for key in keys]
        assert all(71 * DAY < life <= 78 * DAY for life in lives)
    assert max(sizes) < 1.3 * sizes[8]
    await features.aclose()
