"""Run a world through both engines and the oracle, and compare every pair of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis, RedisCluster

from shared.features.online import OnlineFeatures
from tests.support.features.checking import Answer, expected, history_answers, mismatches, online_answers
from tests.support.features.indexed import IndexedOracle
from tests.support.features.merchant_streams import Item
from tests.verification.worlds import World


@dataclass(frozen=True)
class Verdict:
    """What came of a world.

    Attributes:
        world: Its name.
        decisions: Vectors compared.
        events: Events recorded.
        lines: One line per difference.
    """

    world: str
    decisions: int
    events: int
    lines: list[str] = field(default_factory=list)


async def compare(world: World, redis: Redis | RedisCluster) -> Verdict:
    """Run a world on an empty store and compare the three ways to answer, two by two."""
    if isinstance(redis, RedisCluster):
        await redis.flushall(target_nodes=RedisCluster.PRIMARIES)
    else:
        await redis.flushall()
    wanted = expected(world.stream, world.every, IndexedOracle())
    features = OnlineFeatures(redis, limits=world.limits)
    try:
        online = await online_answers(features, world.stream, world.batch)
    finally:
        await features.aclose()
    history = history_answers(world.stream)
    lines = [
        *_named("online, oracle", world.stream, online, wanted),
        *_named("history, oracle", world.stream, history, wanted),
        *_named("online, history", world.stream, online, history),
    ]
    return Verdict(world.name, sum(bool(values) for _, values in wanted), len(world.stream), lines)


def _named(pair: str, stream: Sequence[Item], got: Sequence[Answer], wanted: Sequence[Answer]) -> list[str]:
    return [f"{pair}: {line}" for line in mismatches(stream, got, wanted)]
