"""Requests that wait at the same moment share one batch, in their order of arrival."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

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
        conclude: Makes the results of what `process` has returned. Meanwhile the next batch is processed already, so
            that the service that `process` asks and this process work side by side.
        max_batch: Largest batch; larger ones would hold up the feature store.
        max_waiting: Longest queue.
        deadline_seconds: Longest wait in the queue.
        common_errors: What concerns all items of a batch alike. After any other error its items are processed once
            more, each by itself, so that one that cannot be processed harms no other.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Any]],
        conclude: Callable[[Sequence[Item], Any], Sequence[Result]] = lambda _, results: results,
        *,
        max_batch: int = 64,
        max_waiting: int = 2_000,
        deadline_seconds: float = 0.5,
        common_errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self._common_errors = common_errors
        self._process = process
        self._conclude = conclude
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
        ahead: _Batch[Item, Result] | None = None
        failed: deque[_Batch[Item, Result]] = deque()
        try:
            while ahead is not None or failed or self._waiting:
                batch, ahead = ahead or (failed.popleft() if failed else self._take()), None
                if not batch.items:
                    continue
                try:
                    processed = await (batch.processing or self._process(batch.items))
                    if self._waiting and not failed:
                        ahead = await self._begin_next()
                    batch.settle(self._conclude(batch.items, processed))
                except Exception as error:  # noqa: BLE001 - whoever waits for the result handles it
                    if len(batch.items) == 1 or isinstance(error, self._common_errors):
                        batch.fail(error)
                    else:
                        failed.extend(batch.singly())
        finally:
            self._worker = None

    async def _begin_next(self) -> "_Batch[Item, Result]":
        batch = self._take()
        if batch.items:
            batch.processing = asyncio.ensure_future(self._process(batch.items))
            await asyncio.sleep(0)  # it asks its question before the batch at hand is concluded
        return batch

    def _take(self) -> "_Batch[Item, Result]":
        """Take the next batch, without those whose caller has gone or whose deadline has passed."""
        batch = _Batch[Item, Result]()
        oldest = time.perf_counter() - self._deadline
        while self._waiting and len(batch.items) < self._max_batch:
            item, future, since = self._waiting.popleft()
            if future.done():
                continue
            if since < oldest:
                future.set_exception(Overloaded())
                continue
            batch.items.append(item)
            batch.futures.append(future)
        return batch


class _Batch(Generic[Item, Result]):
    """Items, the futures of their results, and the task that processes them when they were begun ahead."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.futures: list[asyncio.Future[Result]] = []
        self.processing: asyncio.Future[Any] | None = None

    def singly(self) -> "list[_Batch[Item, Result]]":
        """A batch for each item that is still waited for."""
        batches = []
        for item, future in zip(self.items, self.futures, strict=True):
            if not future.done():
                batch = _Batch[Item, Result]()
                batch.items, batch.futures = [item], [future]
                batches.append(batch)
        return batches

    def settle(self, results: Sequence[Result]) -> None:
        """Hand out the results.

        Raises:
            ValueError: There are not as many as items; nothing was handed out.
        """
        for future, result in list(zip(self.futures, results, strict=True)):
            if not future.done():
                future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Hand out an error instead."""
        for future in self.futures:
            if not future.done():
                future.set_exception(error)
