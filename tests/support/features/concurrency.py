"""Clients of one feature store that act at the same moment: scorers' engines and the updater, each a process."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from functions.feature_updater.updater import Updater
from shared.batching import Batcher
from shared.features.catalogue import CATALOGUE
from shared.features.online import FeatureRead, OnlineFeatures, ReadStatus
from shared.features.online.layout import Limits
from tests.support.features.events import event_of
from tests.support.features.linearizability import Operation
from tests.support.features.oracle import Tx

UPDATER = "updater"

Act = Callable[[Iterator[Tx], float], Awaitable[None]]
"""Sends what the iterator gives, one after the other, after a pause in seconds."""


@dataclass(frozen=True)
class Round:
    """What each client sends for one card, all of them at once.

    Attributes:
        limits: The engines' limits.
        sent: Transactions in each client's order, by the client's name.
        width: How many calls of one client wait at the same moment.
    """

    limits: Limits
    sent: dict[str, Sequence[Tx]]
    width: int


class Witness:
    """A feature store that notes what it answered, and when."""

    def __init__(self, client: str, features: OnlineFeatures) -> None:
        self.operations: list[Operation] = []
        self._client = client
        self._features = features

    async def record_and_read(self, transactions: Sequence[Tx]) -> list[FeatureRead]:
        begin = time.monotonic_ns()
        reads = await self._features.record_and_read(transactions)  # type: ignore[arg-type]
        end = time.monotonic_ns()
        for tx, read in zip(transactions, reads, strict=True):
            values = dict(zip(CATALOGUE.names, read.values, strict=True))
            self.operations.append(Operation(self._client, _seen(tx), begin, end, (read.status.name.lower(), values)))
        return reads

    async def record_each(self, transactions: Sequence[Tx]) -> list[ReadStatus | ResponseError]:
        begin = time.monotonic_ns()
        statuses = await self._features.record(transactions)  # type: ignore[arg-type]
        end = time.monotonic_ns()
        for tx, status in zip(transactions, statuses, strict=True):
            self.operations.append(Operation(self._client, _seen(tx), begin, end, (status.name.lower(), None)))
        return list(statuses)


def _seen(tx: Tx) -> Tx:
    return Tx(**{name: getattr(tx, name) for name in Tx.__dataclass_fields__})


def run(port: int, clients: Sequence[str], rounds: Sequence[Round]) -> list[list[Operation]]:
    """Play the rounds, each client in a process of its own; the operations of each round."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(clients))
    with context.Pool(len(clients), _start, (barrier,)) as pool:
        played = pool.starmap(_play, [(port, client, rounds) for client in clients], chunksize=1)
    return [[one for of_client in of_round for one in of_client] for of_round in zip(*played, strict=True)]


_barrier: Barrier


def _start(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - set once, as the process starts
    _barrier = barrier


def _play(port: int, client: str, rounds: Sequence[Round]) -> list[list[Operation]]:
    return asyncio.run(_play_all(port, client, rounds))


async def _play_all(port: int, client: str, rounds: Sequence[Round]) -> list[list[Operation]]:
    played = []
    rng = random.Random(client)
    async with Redis(port=port) as redis:
        engines = {limits: OnlineFeatures(redis, limits=limits) for limits in {one.limits for one in rounds}}
        for one in rounds:
            witness = Witness(client, engines[one.limits])
            act = _updater(witness) if client == UPDATER else _scorer(witness)
            _barrier.wait(60)
            queue = iter(one.sent[client])
            await asyncio.gather(*[act(queue, rng.random() * 0.002) for _ in range(one.width)])
            played.append(witness.operations)
    return played


def _scorer(witness: Witness) -> Act:
    batcher = Batcher(witness.record_and_read, max_batch=4)

    async def act(queue: Iterator[Tx], pause: float) -> None:
        await asyncio.sleep(pause)
        for tx in queue:
            await batcher.submit(tx)

    return act


def _updater(witness: Witness) -> Act:
    updater = Updater(witness, CATALOGUE.settings, timeout_seconds=10)

    async def act(queue: Iterator[Tx], pause: float) -> None:
        await asyncio.sleep(pause)
        for tx in queue:
            await updater.handle(event_of(tx))

    return act
