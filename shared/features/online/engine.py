"""The online engine: record transactions and read their features, many in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from shared.contracts.label import Label
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.online.layout import Limits
from shared.features.online.link import link
from shared.features.online.merchant import LabelOutcome, Merchants
from shared.features.online.steps import CardSteps, ClusterSteps, NodeSteps, Steps, exchange
from shared.features.online.wire import FeatureRead, Protocol, ReadStatus, pack, subject_of
from shared.features.values import Value

Answer = TypeVar("Answer", FeatureRead, ReadStatus)


class OnlineFeatures:
    """Features of transactions as of now, from Redis 6.2 or later, Valkey, or a cluster of either.

    Each transaction is recorded and read at its card and its merchant, on a single node in one atomic step. On a
    cluster the two are steps of their own: the merchant is read in the card's round trip, and told in a second one. A
    repeated call is answered again and recorded no second time, so a call that failed may be repeated.

    Args:
        redis: The client. Its pool gives the connections.
        catalogue: The features to answer.
        limits: Sizes of what is kept; all clients of a store need the same.

    Example:
        >>> features = OnlineFeatures(Redis.from_url("redis://localhost:6379"))
        >>> [read] = await features.record_and_read([transaction])
        >>> dict(zip(CATALOGUE.names, read.values))["txn_count_10m"]
        1
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        catalogue: Catalogue = CATALOGUE,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.catalogue = catalogue
        self._merchants = Merchants(catalogue, limits)
        self._wire = Protocol(catalogue, limits)
        self._steps: Steps
        if not self._merchants.aggregates:
            self._steps = CardSteps(self._wire)
        elif isinstance(redis, RedisCluster):
            self._steps = ClusterSteps(self._wire, self._merchants)
        else:
            self._steps = NodeSteps(self._wire, self._merchants)
        self._link = link(redis, [*self._steps.scripts, *self._merchants.scripts])

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        """Record transactions in the order given and read the features of each.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer, or refused a transaction; others may have been
                recorded.
        """
        return _unless_refused(await self.record_and_read_each(transactions))

    async def record_and_read_each(self, transactions: Sequence[Transaction]) -> list[FeatureRead | ResponseError]:
        """The same, but a transaction that the store refused, for its key has a wrong type, say, harms no other.

        Returns:
            The answer to each transaction, or the store's error in its place.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer; some transactions may have been recorded.
        """
        if not transactions:
            return []
        return await self._steps.record_and_read(self._link, [pack(transaction) for transaction in transactions])

    async def record(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        """Record transactions in the order given, at their cards and merchants; for callers that need no features.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer, or refused a transaction; others may have been
                recorded.
        """
        return _unless_refused(await self.record_each(transactions))

    async def record_each(self, transactions: Sequence[Transaction]) -> list[ReadStatus | ResponseError]:
        """The same, but a transaction that the store refused harms no other; see `record_and_read_each`."""
        if not transactions:
            return []
        return await self._steps.record(self._link, [pack(transaction) for transaction in transactions])

    async def label(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Take in labels in the order given, in one round trip. Taken in again, a label changes nothing.

        Raises:
            redis.exceptions.RedisError: The store did not answer; some labels may have been taken in.
        """
        replies = await exchange(self._link, [self._merchants.label(label) for label in labels])
        return [LabelOutcome(reply) for reply in replies]

    def request_only_vector(self, transaction: Transaction) -> tuple[Value, ...]:
        """The vector while the store is away: features of the card's and the merchant's history are null."""
        return self._wire.request_only(subject_of(transaction))

    async def aclose(self) -> None:
        """Give the connections back to the client's pool. The client stays the caller's."""
        await self._link.aclose()


def _unless_refused(answers: Sequence[Answer | ResponseError]) -> list[Answer]:
    """The answers; raises the first error among them."""
    answered: list[Answer] = []
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
        answered.append(answer)
    return answered
