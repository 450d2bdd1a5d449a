"""Transactions to decisions: several batches under way, each card strictly in order."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from shared.contracts.transaction import Transaction
from shared.replay.client import Outcome, ScorerClient

_AHEAD = 4  # batches per lane that may wait
Tag = TypeVar("Tag")
OnOutcome = Callable[[Tag, Outcome], None]


class Pipeline(Generic[Tag]):
    """Sends transactions in lanes; a card always takes the same lane, and a lane has one batch under way.

    So a card's transactions are decided in their order, and the lanes never drift apart by more than what waits.
    Outcomes are handed on in the order of the input.
    """

    def __init__(self, client: ScorerClient, on_outcome: OnOutcome[Tag], *, lanes: int, batch: int) -> None:
        """Prepare.

        Args:
            client: Asks the scorer.
            on_outcome: Takes the tag of each transaction and its outcome, in the order of the input.
            lanes: Batches under way at once.
            batch: Most transactions of a batch.
        """
        self._client = client
        self._on_outcome = on_outcome
        self._batch = batch
        self._lanes: list[asyncio.Queue[tuple[int, Transaction] | None]] = [asyncio.Queue() for _ in range(lanes)]
        self._room = asyncio.Semaphore(lanes * batch * _AHEAD)
        self._tags: dict[int, Tag] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._next = 0

    async def run(self, transactions: Iterable[tuple[Tag, Transaction]]) -> None:
        """Send them all.

        Raises:
            ReplayFailed: The scorer can not be used; outcomes handed on so far stand.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(self._serve(lane))
                await self._distribute(transactions)
        except ExceptionGroup as group:
            raise _first(group) from None

    async def _distribute(self, transactions: Iterable[tuple[Tag, Transaction]]) -> None:
        for number, (tag, transaction) in enumerate(transactions):
            await self._room.acquire()
            self._tags[number] = tag
            lane = zlib.crc32(transaction.card_id.encode()) % len(self._lanes)
            self._lanes[lane].put_nowait((number, transaction))
        for queue in self._lanes:
            queue.put_nowait(None)

    async def _serve(self, lane: asyncio.Queue[tuple[int, Transaction] | None]) -> None:
        more = True
        while more:
            items, more = await self._take(lane)
            if not items:
                return
            outcomes = await self._client.decide([transaction for _, transaction in items])
            for (number, _), outcome in zip(items, outcomes, strict=True):
                self._outcomes[number] = outcome
            self._hand_on()

    async def _take(
        self, lane: asyncio.Queue[tuple[int, Transaction] | None]
    ) -> tuple[list[tuple[int, Transaction]], bool]:
        """Take what waits in a lane, at least one, up to a batch; tell also whether more may come."""
        items: list[tuple[int, Transaction]] = []
        while not items or (len(items) < self._batch and not lane.empty()):
            item = await lane.get()
            if item is None:
                return items, False
            items.append(item)
        return items, True

    def _hand_on(self) -> None:
        while self._next in self._outcomes:
            self._on_outcome(self._tags.pop(self._next), self._outcomes.pop(self._next))
            self._next += 1
            self._room.release()


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
