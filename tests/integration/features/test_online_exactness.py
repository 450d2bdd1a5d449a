"""Both engines against the brute-force oracle, on hostile streams and a real server."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, note, settings
from redis.asyncio import Redis

from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.definition import DAY_MS, HOUR_MS
from shared.features.kinds import count, distinct_cities, is_new, mean, total
from shared.features.online import OnlineFeatures
from shared.features.online.layout import Limits
from tests.support.features.checking import (
    Answer,
    expected,
    history_answers,
    mismatches,
    online_answers,
    replay,
)
from tests.support.features.oracle import DAY, HOUR, Tx
from tests.support.features.streams import busy_card, hostile_streams, random_stream, tied_card

SAME_SERVER = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
# Small limits bring every representation, and every change of one into another, into short streams.
TINY = Limits(small=4, block=3, page=2, bucket=150, sweep=2)
LIMITS = [Limits(), TINY, Limits(small=12, block=8, page=3, bucket=300, sweep=4)]


@settings(max_examples=30, deadline=None, suppress_health_check=SAME_SERVER)
@given(stream=hostile_streams())
def test_both_engines_answer_like_the_oracle(stream: list[Tx], valkey_port: int) -> None:
    note(replay(stream))
    wanted = expected(stream)

    async def online(limits: Limits) -> list[Answer]:
        async with Redis(port=valkey_port) as redis:
            await redis.flushall()
            return await online_answers(OnlineFeatures(redis, limits=limits), stream)

    for limits in LIMITS[:2]:
        assert mismatches(stream, asyncio.run(online(limits)), wanted) == []
    assert mismatches(stream, history_answers(stream), wanted) == []


@pytest.mark.parametrize(("seed", "batch"), [(1, 1), (2, 16), (3, 64), (4, 7)])
async def test_long_streams(redis: Redis, seed: int, batch: int) -> None:
    cards = [f"card{k}" for k in range(9)]
    stream = random_stream(seed, 700, cards)
    wanted = expected(stream)
    assert {status for status, _ in wanted} == {"new", "seen", "conflict", "too_late"}
    for limits in LIMITS:
        await redis.flushall()
        features = OnlineFeatures(redis, limits=limits)
        assert mismatches(stream, await online_answers(features, stream, batch), wanted) == []
        await features.aclose()
    assert mismatches(stream, history_answers(stream), wanted) == []


@pytest.mark.parametrize("limits", LIMITS)
async def test_what_is_recorded_unread_counts_in_later_reads(redis: Redis, limits: Limits) -> None:
    stream = random_stream(5, 900, [f"card{k}" for k in range(5)])
    wanted = expected(stream)
    features = OnlineFeatures(redis, limits=limits)
    recorded, reads = [], []
    for number, one in enumerate(stream):
        if number % 3:
            [status] = await features.record([one])
            recorded.append((number, status.name.lower()))
        else:
            reads += await online_answers(features, [one])
    await features.aclose()
    assert recorded == [(number, wanted[number][0]) for number in range(len(stream)) if number % 3]
    assert mismatches(stream[::3], reads, wanted[::3]) == []


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize(
    ("span_ms", "cities", "late"), [(HOUR, 300, 0.05), (DAY, 8, 0.05), (30 * DAY, 8, 0.5), (90 * DAY, 40, 0.05)]
)
async def test_busy_cards(redis: Redis, limits: Limits, span_ms: int, cities: int, late: float) -> None:
    stream = busy_card(span_ms, 900, span_ms, cities=cities, late=late)
    wanted = expected(stream, every=29)
    features = OnlineFeatures(redis, limits=limits)
    assert mismatches(stream, await online_answers(features, stream, 16), wanted) == []
    await features.aclose()
    if limits == LIMITS[0]:
        assert mismatches(stream, history_answers(stream), wanted) == []


async def test_an_id_is_remembered_from_the_horizon_on(redis: Redis) -> None:
    midnight = 1_790_035_200_000 // DAY * DAY
    old = Tx("old", "c", midnight - 31 * DAY, 5)
    newer, newest = Tx("newer", "c", midnight, 7), Tx("newest", "c", midnight + DAY, 9)
    stream = [old, newer, old, replace(old, amount_minor=6), newest, old]
    wanted = expected(stream)
    assert [status for status, _ in wanted] == ["new", "new", "seen", "conflict", "new", "too_late"]
    for limits in (Limits(), replace(TINY, small=1)):
        await redis.flushall()
        features = OnlineFeatures(redis, limits=limits)
        assert mismatches(stream, await online_answers(features, stream), wanted) == []
        await features.aclose()
    assert mismatches(stream, history_answers(stream), wanted) == []


async def test_a_feature_added_to_the_catalogue_is_answered_by_both_engines(redis: Redis) -> None:
    more = Catalogue(
        (
            *CATALOGUE.features,
            count("txn_count_3h", 3 * HOUR_MS),
            total("total_amount_3h", 3 * HOUR_MS),
            mean("avg_amount_2d", 2 * DAY_MS),
            distinct_cities("distinct_cities_3d", 3 * DAY_MS),
            is_new("is_new_category_30d", "merchant_category", "category"),
        )
    )
    names = more.names[len(CATALOGUE) :]
    stream = busy_card(5, 600, 9 * DAY, cities=30, late=0.2, repeats=0.0)
    from_history = history_answers(stream, catalogue=more)
    for limits in LIMITS[:2]:
        await redis.flushall()
        features = OnlineFeatures(redis, more, limits)
        got = await online_answers(features, stream, 16, catalogue=more)
        await features.aclose()
        for number, (x, (_, values), (_, same)) in enumerate(zip(stream, got, from_history, strict=True)):
            known = [y for y in stream[: number + 1] if y.event_time_ms <= x.event_time_ms]
            hours = [y.amount_minor for y in known if y.event_time_ms > x.event_time_ms - 3 * HOUR]
            days = [y.amount_minor for y in known if y.event_time_ms > x.event_time_ms - 2 * DAY]
            cities = {y.city for y in known if y.event_time_ms > x.event_time_ms - 3 * DAY and y.city}
            met = any(y.merchant_category == x.merchant_category for y in known if y is not x)
            wanted = (
                len(hours),
                sum(hours),
                float(sum(days)) / len(days),
                len(cities) or None,
                int(not met) if x.merchant_category else None,
            )
            assert tuple(values[name] for name in names) == wanted
            assert tuple(same[name] for name in names) == wanted


@pytest.mark.parametrize("seed", range(6))
async def test_ties_and_exact_edges(redis: Redis, seed: int) -> None:
    stream = tied_card(seed, 150)
    wanted = expected(stream)
    for limits in LIMITS:
        await redis.flushall()
        features = OnlineFeatures(redis, limits=limits)
        assert mismatches(stream, await online_answers(features, stream, 8), wanted) == []
        await features.aclose()
    assert mismatches(stream, history_answers(stream), wanted) == []


async def test_equal_transactions_of_one_moment_are_told_apart(redis: Redis) -> None:
    here, there, elsewhere = ("Lisbon", 38.7223, -9.1393), ("Oslo", 59.9139, 10.7522), ("Rome", 41.9028, 12.4964)
    places = [here, there, here, elsewhere]
    tied = [
        Tx(f"t{k}", "c", 1_709_186_400_000, 2, f"m{k}", None, city, None, *at) for k, (city, *at) in enumerate(places)
    ]
    stream = [*tied, tied[0]]
    features = OnlineFeatures(redis, limits=TINY)
    assert mismatches(stream, await online_answers(features, stream), expected(stream)) == []
    await features.aclose()
