from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions.scorer.composition import compose
from functions.scorer.settings import ScorerSettings
from shared.bus.publisher import Publisher
from tests.support.asgi import Answer, call
from tests.support.fakes.feature_store import FakeStore
from tests.support.fakes.kafka_producer import FakeProducer
from tests.support.fakes.models import FakeModels, model
from tests.support.transactions import body


@dataclass
class Bench:
    """A whole scorer whose neighbours are fakes."""

    app: Any
    store: FakeStore
    producer: FakeProducer
    models: FakeModels
    publisher: Publisher

    async def score(self, query: str = "", headers: dict[str, str] | None = None, **changes: Any) -> Answer:
        """Ask for the decision of one transaction."""
        sent = {"content-type": "application/json", **(headers or {})}
        return await self._ask(f"/v1/score{query}", headers=sent, body=body(**changes))

    async def post(self, path: str, data: bytes | list[bytes], **options: Any) -> Answer:
        """Send a body."""
        return await self._ask(path, body=data, **options)

    async def _ask(self, path: str, **options: Any) -> Answer:
        answer = await call(self.app, "POST", path, **options)
        for _ in range(3):  # what is counted is counted after the answer
            await asyncio.sleep(0)
        return answer

    def events(self, topic: str) -> list[Any]:
        """Events that Kafka has."""
        self.publisher.drain(0)
        return self.producer.events(topic)


@pytest.fixture
async def make_bench() -> AsyncIterator[Any]:
    """Makes scorers with other settings."""

    publishers: list[Publisher] = []

    def make(**settings: Any) -> Bench:
        store, producer, models = FakeStore(), FakeProducer(), FakeModels(model())
        publisher = Publisher("unused:1", producer=producer)  # type: ignore[arg-type]
        publishers.append(publisher)
        # A busy machine must not make answers degraded or late.
        patient = {"fraud_store_timeout_ms": 10_000, "fraud_queue_deadline_ms": 30_000}
        scorer = compose(ScorerSettings(**(patient | settings)), store, publisher, models)  # type: ignore[arg-type]
        return Bench(scorer.app, store, producer, models, publisher)

    yield make
    # The FastAPI application loads in a thread after the first answer: let it end within the test's loop.
    await asyncio.sleep(0)
    for publisher in publishers:
        atexit.unregister(publisher.close)  # registered with the first request; these have nothing to flush


@pytest.fixture
async def bench(make_bench: Any) -> Bench:
    return make_bench()  # type: ignore[no-any-return]
