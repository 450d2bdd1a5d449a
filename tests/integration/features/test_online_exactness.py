"""Both engines against the brute-force oracle, on hostile streams and a real server."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, note, settings
from redis.asyncio import Redis

from shared.features.online import OnlineFeatures
from tests.support.features.checking import expected, history_answers, mismatches, online_answers, replay
from tests.support.features.oracle import DAY, Tx
from tests.support.features.streams import hostile_streams, random_stream

SAME_SERVER = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=60, deadline=None, suppress_health_check=SAME_SERVER)
@given(stream=hostile_streams())
def test_both_engines_answer_like_the_oracle(stream: list[Tx], valkey_port: int) -> None:
    note(replay(stream))
    wanted = expected(stream)

    async def online() -> list:
        async with Redis(port=valkey_port) as redis:
            await redis.flushall()
            return await online_answers(OnlineFeatures(redis), stream)

    assert mismatches(stream, asyncio.run(online()), wanted) == []
    assert mismatches(stream, history_answers(stream), wanted) == []


@pytest.mark.parametrize(("seed", "length", "batch"), [(1, 1500, 1), (2, 1500, 16), (3, 1500, 64), (4, 1500, 7)])
async def test_long_streams(redis: Redis, features: OnlineFeatures, seed: int, length: int, batch: int) -> None:
    cards = [f"card{k}" for k in range(9)]
    stream = random_stream(seed, length, cards)
    wanted = expected(stream)
    assert {status for status, _ in wanted} == {"new", "seen", "conflict", "too_late"}
    assert mismatches(stream, await online_answers(features, stream, batch), wanted) == []
    assert mismatches(stream, history_answers(stream), wanted) == []


async def test_an_id_is_remembered_from_the_horizon_on(features: OnlineFeatures) -> None:
    midnight = 1_790_035_200_000 // DAY * DAY
    old = Tx("old", "c", midnight - 31 * DAY, 5)
    stream = [
        old,
        Tx("new", "c", midnight, 7),
        old,
        replace(old, amount_minor=6),
        Tx("next", "c", midnight + DAY, 9),
        old,
    ]
    wanted = expected(stream)
    assert [status for status, _ in wanted] == ["new", "new", "seen", "conflict", "new", "too_late"]
    assert mismatches(stream, await online_answers(features, stream), wanted) == []
    assert mismatches(stream, history_answers(stream), wanted) == []
