"""Requests that wait at the same moment share a round trip."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from shared.contracts.transaction import Transaction
from shared.features.online.engine import OnlineFeatures
from shared.features.online.wire import Call, FeatureRead, pack


class _Waiter(NamedTuple):
    call: Call
    answer: asyncio.Future[FeatureRead]


class SharedRoundTrips:
    """Reads of single transactions, gathered into pipelines.

    All reads that are asked for in one turn of the event loop, and all that come while a round trip is under way, leave
    with the next one, in the order they came. At most one round trip is under way, so a card's order is kept.

    Args:
        features: The engine. Other callers may use it too.
        deadline_s: How long one read may take, waiting included.
        most: Most transactions in one pipeline. The server answers nobody else while it works one off.
    """

    def __init__(self, features: OnlineFeatures, *, deadline_s: float, most: int = 32) -> None:
        self._features = features
        self._deadline_s = deadline_s
        self._most = most
        self._waiting: deque[_Waiter] = deque()
        self._working: asyncio.Task[None] | None = None

    async def read(self, transaction: Transaction) -> FeatureRead:
        """Record a transaction and read its features.

        Raises:
            ValueError: The transaction cannot be recorded.
            TimeoutError: The deadline passed. The transaction may or may not have been recorded.
            redis.exceptions.RedisError: The store did not answer, with the same doubt.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(pack(transaction), loop.create_future())
        self._waiting.append(waiter)
        if self._working is None:
            self._working = loop.create_task(self._work())
        timer = loop.call_later(self._deadline_s, _expire, waiter.answer)
        try:
            return await waiter.answer
        finally:
            timer.cancel()

    async def aclose(self) -> None:
        """Wait for what is under way."""
        if self._working is not None:
            await asyncio.wait([self._working])

    async def _work(self) -> None:
        """Round trips until nobody waits."""
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                batch = [waiter for waiter in batch if not waiter.answer.done()]
                if batch:
                    await self._round_trip(batch)
        finally:
            self._working = None

    async def _round_trip(self, batch: list[_Waiter]) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                answers = await self._features.exchange([waiter.call for waiter in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the waiters' answer
            answers = [error] * len(batch)
        for waiter, answer in zip(batch, answers, strict=True):
            if waiter.answer.done():
                continue
            if isinstance(answer, BaseException):
                waiter.answer.set_exception(answer)
            else:
                waiter.answer.set_result(answer)


def _expire(answer: asyncio.Future[FeatureRead]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError("the feature store did not answer in time"))
