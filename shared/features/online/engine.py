"""The online engine: record transactions and read their features, many in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster

from shared.contracts.label import Label
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.definition import DAY_MS
from shared.features.online.layout import Limits
from shared.features.online.link import Command, LuaScript, link
from shared.features.online.merchant import LabelOutcome, Merchants
from shared.features.online.wire import Call, CardReply, FeatureRead, Protocol, ReadStatus, pack, subject_of
from shared.features.values import Raw, Value

Unrecorded = Callable[[Sequence[Transaction], Exception], None]
"""Takes transactions of which some may be missing at their merchants, and why."""
Item = TypeVar("Item")
_RECORDED = (ReadStatus.NEW, ReadStatus.SEEN)


class OnlineFeatures:
    """Features of transactions as of now, from Redis 6.2 or later, Valkey, or a cluster of either.

    Each transaction is recorded and read in one atomic step of its card; its merchant is read in the same round trip.
    Then the merchant is told of it. A repeated call is answered again and recorded no second time, so a call that
    failed may be repeated: whoever finds a transaction at its card tells the merchant too, for the first to record it
    may have died in between.

    Args:
        redis: The client. Its pool gives the connections.
        catalogue: The features to answer.
        limits: Sizes of what is kept; all clients of a store need the same.
        unrecorded: With it nobody waits for the merchants, for no feature needs a transaction there before a label
            delay has passed. What a merchant is told is in the network before the answer is given; what failed is
            handed to this, and has to come again. Without it a call waits, and fails where a merchant cannot be told.

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
        unrecorded: Unrecorded | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._merchants = Merchants(catalogue, limits)
        self._protocol = Protocol(catalogue, limits)
        self._card = LuaScript(self._protocol.script.source)
        self._link = link(redis, [self._card, *self._merchants.scripts])
        self._unrecorded = unrecorded

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead]:
        """Record transactions in the order given and read the features of each, in one round trip.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer; some transactions may have been recorded.
        """
        if not transactions:
            return []
        calls = [pack(transaction) for transaction in transactions]
        commands: list[Command] = [(self._card.digest, b"1", *call.command) for call in calls]
        if not self._merchants.aggregates:
            return [self._protocol.finish(card, ()) for card in self._opened(calls, await self._call(commands))]
        commands += [self._merchants.read(some) for some in self._together([call.subject for call in calls])]
        replies = await self._call(commands)
        cards = self._opened(calls, replies[: len(calls)])
        if self._one_by_one(cards):
            numbers = await self._in_turn(calls, cards)
        else:
            numbers = self._merchants.numbers(replies[len(calls) :])
            await self._tell(transactions, calls, cards)
        return [self._protocol.finish(card, merchant) for card, merchant in zip(cards, numbers, strict=True)]

    async def record(self, transactions: Sequence[Transaction]) -> list[ReadStatus]:
        """Record transactions in the order given, at their cards and merchants; for callers that need no features.

        Raises:
            ValueError: A transaction cannot be recorded (time or amount out of range); none was.
            redis.exceptions.RedisError: The store did not answer; some transactions may have been recorded.
        """
        calls = [pack(transaction) for transaction in transactions]
        cards = self._opened(calls, await self._call([(self._card.digest, b"1", *call.command) for call in calls]))
        if self._merchants.aggregates:
            await self._tell(transactions, calls, cards)
        return [card.status for card in cards]

    async def label(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Take in labels in the order given, in one round trip. Taken in again, a label changes nothing.

        Raises:
            redis.exceptions.RedisError: The store did not answer; some labels may have been taken in.
        """
        return [LabelOutcome(reply) for reply in await self._call([self._merchants.label(label) for label in labels])]

    def request_only_vector(self, transaction: Transaction) -> tuple[Value, ...]:
        """The vector while the store is away: features of the card's and the merchant's history are null."""
        return self._protocol.request_only(subject_of(transaction))

    async def aclose(self) -> None:
        """Give the connections back to the client's pool. The client stays the caller's."""
        await self._link.aclose()

    async def _call(self, commands: Sequence[Command]) -> list[Any]:
        replies = await self._link.call(commands)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return replies

    def _opened(self, calls: Sequence[Call], replies: Sequence[bytes]) -> list[CardReply]:
        opened = self._protocol.open
        return [opened(reply, call.subject) for reply, call in zip(replies, calls, strict=True)]

    def _one_by_one(self, cards: Sequence[CardReply]) -> bool:
        """Whether merchants have to be read once more, in turn with what they are told.

        A conflict is answered with the first version's features, whose merchant and time come with the card's reply
        alone. And of transactions that lie far enough apart one may be in the window of another behind it.
        """
        if any(card.status is ReadStatus.CONFLICT for card in cards):
            return True
        times = [card.subject.event_time_ms for card in cards]
        return max(times) // DAY_MS - min(times) // DAY_MS > self._merchants.nearest_days

    async def _in_turn(self, calls: Sequence[Call], cards: Sequence[CardReply]) -> list[Raw]:
        """Read merchants and tell them, transaction by transaction, in one further round trip."""
        commands: list[Command] = []
        reads = []
        for call, card in zip(calls, cards, strict=True):
            reads.append(len(commands))
            commands.append(self._merchants.read([card.subject]))
            if _is_recorded(card):
                commands.append(self._merchants.record([call]))
        replies = await self._call(commands)
        return self._merchants.numbers([replies[position] for position in reads])

    async def _tell(
        self, transactions: Sequence[Transaction], calls: Sequence[Call], cards: Sequence[CardReply]
    ) -> None:
        """Tell the merchants what their cards have recorded."""
        recorded = [number for number, card in enumerate(cards) if _is_recorded(card)]
        if not recorded:
            return
        commands = [self._merchants.record(some) for some in self._together([calls[number] for number in recorded])]
        if self._unrecorded is None:
            await self._call(commands)
            return
        report = self._unrecorded

        def missed(error: Exception) -> None:
            report([transactions[number] for number in recorded], error)

        await self._link.tell(commands, missed)

    def _together(self, items: list[Item]) -> list[list[Item]]:
        """What one call may be about: everything on a single node, on a cluster each merchant by itself."""
        return [items] if self._link.any_keys else [[item] for item in items]


def _is_recorded(card: CardReply) -> bool:
    """Whether its merchant has to know the transaction: the card has it, and the merchant is known."""
    return card.status in _RECORDED and bool(card.subject.merchant_id)
