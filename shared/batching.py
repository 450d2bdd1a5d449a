"""Requests that wait at the same moment share one batch, in their order of arrival."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Overloaded(Exception):
    """The queue is full, or the request has waited past its deadline."""


class Batcher(Generic[Item, Result]):
    """Collects items and hands them to one asynchronous function, one batch at a time.

    While a batch is under way the next one gathers, so batches grow with load by themselves and a lone request
    waits for nothing. One batch at a time keeps the order of a card's transactions.

    Args:
        process: Takes a batch, returns a result for each item in the same order.
        max_batch: Largest batch; larger ones would hold up the feature store.
        max_waiting: Longest queue.
        deadline_seconds: Longest wait in the queue.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        max_batch: int = 64,
        max_waiting: int = 2_000,
        deadline_seconds: float = 0.5,
    ) -> None:
        self._process = process
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._deadline = deadline_seconds
        self._waiting: deque[tuple[Item, asyncio.Future[Result], float]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the result of one item.

        Raises:
            Overloaded: The queue is full or the deadline has passed.
        """
        return await self._enqueue(item)

    async def submit_all(self, items: Sequence[Item]) -> list[Result]:
        """Return the results of several items, in their order; all of them are queued or none.

        Raises:
            Overloaded: They do not fit into the queue, or the deadline of one has passed.
        """
        if len(self._waiting) + len(items) > self._max_waiting:
            raise Overloaded
        return await asyncio.gather(*[self._enqueue(item) for item in items])

    def _enqueue(self, item: Item) -> asyncio.Future[Result]:
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future, time.perf_counter()))
        if self._worker is None:
            # The task starts in the loop's next round: what this round still brings joins the first batch.
            self._worker = loop.create_task(self._work())
        return future

    async def _work(self) -> None:
        try:
            while self._waiting:
                items, futures = self._take()
                if not items:
                    continue
                try:
                    settled = list(zip(futures, await self._process(items), strict=True))
                except Exception as error:  # noqa: BLE001 - whoever waits for the result handles it
                    for future in futures:
                        if not future.done():
                            future.set_exception(error)
                else:
                    for future, result in settled:
                        if not future.done():
                            future.set_result(result)
        finally:
            self._worker = None

    def _take(self) -> tuple[list[Item], list[asyncio.Future[Result]]]:
        """Take the next batch, without those whose caller has gone or whose deadline has passed."""
        items: list[Item] = []
        futures: list[asyncio.Future[Result]] = []
        oldest = time.perf_counter() - self._deadline
        while self._waiting and len(items) < self._max_batch:
            item, future, since = self._waiting.popleft()
            if future.done():
                continue
            if since < oldest:
                future.set_exception(Overloaded())
                continue
            items.append(item)
            futures.append(future)
        return items, futures
