from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from shared.features.online import OnlineFeatures
from tests.support.features.valkey import valkey


@pytest.fixture(scope="session")
def valkey_port() -> Iterator[int]:
    with valkey() as port:
        yield port


@pytest.fixture
async def redis(valkey_port: int) -> AsyncIterator[Redis]:
    async with Redis(port=valkey_port) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def features(redis: Redis) -> AsyncIterator[OnlineFeatures]:
    engine = OnlineFeatures(redis)
    yield engine
    await engine.aclose()
