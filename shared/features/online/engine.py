"""The online engine: record transactions and read their features, many in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis, RedisCluster

from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.online.layout import Limits
from shared.features.online.link import link
from shared.features.online.wire import Call, FeatureRead, Protocol, ReadStatus, pack, subject_of
from shared.features.values import Value


class OnlineFeatures:
    """Features of transactions as of now, from Redis 6.2 or later, Valkey, or a cluster of either.

    Each transaction is recorded and read in one atomic step of its card. A repeated call is answered again and recorded
    no second time, so a call that failed may be repeated.

    Args:
        redis: The client. Its pool gives the connections.
        catalogue: The features to answer.
        limits: Sizes of what is kept of a card; all clients of a store need the same.

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
        self._protocol = Protocol(catalogue, limits)
        self._link = link(redis, self._protocol.script.source)

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        """Record transactions in the order given and read the features of each, in one round trip.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer; some transactions may have been recorded.
        """
        calls = [pack(transaction) for transaction in transactions]
        reads = await self.exchange(calls)
        for read in reads:
            if isinstance(read, BaseException):
                raise read
        return [read for read in reads if isinstance(read, FeatureRead)]

    async def record(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        """Record transactions in the order given, in one round trip; for callers that need no features.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer; some transactions may have been recorded.
        """
        replies = await self._link.call([pack(transaction).command for transaction in transactions])
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return [self._protocol.status(reply) for reply in replies]

    async def exchange(self, calls: Sequence[Call]) -> list[FeatureRead | BaseException]:
        """One round trip of packed calls. A call that the store refused has its error in its place.

        Raises:
            redis.exceptions.RedisError: The store did not answer.
        """
        replies: list[Any] = await self._link.call([call.command for call in calls])
        read = self._protocol.read
        return [
            reply if isinstance(reply, BaseException) else read(reply, call.subject)
            for reply, call in zip(replies, calls, strict=True)
        ]

    def request_only_vector(self, transaction: Transaction) -> tuple[Value, ...]:
        """The vector while the store is away: features of the card's history are null."""
        return self._protocol.request_only(subject_of(transaction))

    async def aclose(self) -> None:
        """Give the connections back to the client's pool. The client stays the caller's."""
        await self._link.aclose()
