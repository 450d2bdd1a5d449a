"""Recording and reading a transaction: at card and merchant in one step where one node holds both, else apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from redis.exceptions import RedisError, ResponseError

from shared.features import templates
from shared.features.definition import DAY_MS
from shared.features.online.layout import HEAD_BYTES
from shared.features.online.link import Command, Link, LuaScript
from shared.features.online.merchant import Merchants, merchant_key, recording
from shared.features.online.wire import CUT, Call, CardReply, FeatureRead, ReadStatus
from shared.features.online.wire import Protocol as Wire
from shared.features.plan import STORED_TEXTS
from shared.features.values import Raw

_DOUBLE_BYTES = 8
_RECORDED = (ReadStatus.NEW, ReadStatus.SEEN)


class Steps(Protocol):
    """Recording and reading packed transactions, in the order given.

    Attributes:
        scripts: What they need on the server.
    """

    scripts: tuple[LuaScript, ...]

    async def record_and_read(self, link: Link, calls: Sequence[Call]) -> list[FeatureRead | ResponseError]:
        """Record transactions and make the features of each; what the store refused has its error instead.

        Raises:
            redis.exceptions.RedisError: The store did not answer; some transactions may have been recorded.
        """

    async def record(self, link: Link, calls: Sequence[Call]) -> list[ReadStatus | ResponseError]:
        """The same without the features."""


class CardSteps:
    """Steps of a catalogue that looks at no merchant."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reading, self._recording = LuaScript(wire.script.source), LuaScript(wire.recording.source)
        self.scripts: tuple[LuaScript, ...] = (self._reading, self._recording)

    async def record_and_read(self, link: Link, calls: Sequence[Call]) -> list[FeatureRead | ResponseError]:
        """See `Steps.record_and_read`."""
        replies = await attempt(link, _at_cards(self._reading, calls))
        return [
            reply if isinstance(reply, ResponseError) else self._wire.finish(self._wire.open(reply, call.subject), ())
            for reply, call in zip(replies, calls, strict=True)
        ]

    async def record(self, link: Link, calls: Sequence[Call]) -> list[ReadStatus | ResponseError]:
        """See `Steps.record`."""
        return [
            reply if isinstance(reply, ResponseError) else self._wire.status(reply)
            for reply in await attempt(link, _at_cards(self._recording, calls))
        ]


class NodeSteps:
    """Card and merchant in one atomic step of a node that holds both."""

    def __init__(self, wire: Wire, merchants: Merchants) -> None:
        self._wire = wire
        pieces = merchants.functions | {
            "CUT": str(CUT),
            "NUMBERS": str(wire.script.doubles * _DOUBLE_BYTES),
            "HEAD": str(HEAD_BYTES),
            "DIGEST_ARGUMENT": str(3 + len(STORED_TEXTS)),
        }
        self._reading = _rendered("card_and_merchant.lua", pieces | {"CARD": wire.script.source})
        self._recording = _rendered("card_and_merchant_record.lua", pieces | {"CARD": wire.recording.source})
        self.scripts: tuple[LuaScript, ...] = (self._reading, self._recording)

    async def record_and_read(self, link: Link, calls: Sequence[Call]) -> list[FeatureRead | ResponseError]:
        """See `Steps.record_and_read`."""
        read = self._wire.read
        replies = await attempt(link, [self._command(self._reading, call) for call in calls])
        return [
            reply if isinstance(reply, ResponseError) else read(reply, call.subject)
            for reply, call in zip(replies, calls, strict=True)
        ]

    async def record(self, link: Link, calls: Sequence[Call]) -> list[ReadStatus | ResponseError]:
        """See `Steps.record`."""
        return [
            reply if isinstance(reply, ResponseError) else self._wire.status(reply)
            for reply in await attempt(link, [self._command(self._recording, call) for call in calls])
        ]

    @staticmethod
    def _command(script: LuaScript, call: Call) -> Command:
        key, *arguments = call.command
        return (script.digest, b"2", key, merchant_key(call.subject.merchant_id), *arguments, *recording(call))


class ClusterSteps:
    """Card and merchant in slots of their own: the merchant is read in the card's round trip and told in a second one.

    Whoever finds a transaction at its card tells the merchant too, for the first to record it may have died in between.
    """

    def __init__(self, wire: Wire, merchants: Merchants) -> None:
        self._wire = wire
        self._merchants = merchants
        self._reading, self._recording = LuaScript(wire.script.source), LuaScript(wire.recording.source)
        self.scripts: tuple[LuaScript, ...] = (self._reading, self._recording)

    async def record_and_read(self, link: Link, calls: Sequence[Call]) -> list[FeatureRead | ResponseError]:
        """See `Steps.record_and_read`."""
        commands = _at_cards(self._reading, calls) + [self._merchants.read([call.subject]) for call in calls]
        replies = await attempt(link, commands)
        refused: dict[int, FeatureRead | ResponseError] = {
            k % len(calls): reply for k, reply in enumerate(replies) if isinstance(reply, ResponseError)
        }
        answered = [k for k in range(len(calls)) if k not in refused]
        reads = iter(
            await self._reads(
                link, [calls[k] for k in answered], [replies[k] for k in answered + [len(calls) + k for k in answered]]
            )
        )
        return [refused[k] if k in refused else next(reads) for k in range(len(calls))]

    async def _reads(self, link: Link, calls: Sequence[Call], replies: Sequence[bytes]) -> list[FeatureRead]:
        """The features of calls from the replies of all their cards, then of all their merchants."""
        if not calls:
            return []
        cards = [self._wire.open(reply, call.subject) for reply, call in zip(replies, calls, strict=False)]
        if self._one_by_one(cards):
            numbers = await self._in_turn(link, calls, cards)
        else:
            numbers = self._merchants.numbers(replies[len(calls) :])
            await self._tell(link, calls, [card.status for card in cards])
        return [self._wire.finish(card, merchant) for card, merchant in zip(cards, numbers, strict=True)]

    async def record(self, link: Link, calls: Sequence[Call]) -> list[ReadStatus | ResponseError]:
        """See `Steps.record`."""
        replies = await attempt(link, _at_cards(self._recording, calls))
        taken = [k for k, reply in enumerate(replies) if not isinstance(reply, ResponseError)]
        statuses = [self._wire.status(replies[k]) for k in taken]
        await self._tell(link, [calls[k] for k in taken], statuses)
        recorded = iter(statuses)
        return [reply if isinstance(reply, ResponseError) else next(recorded) for reply in replies]

    def _one_by_one(self, cards: Sequence[CardReply]) -> bool:
        """Whether merchants have to be read once more, in turn with what they are told.

        A conflict is answered with the first version's features, whose merchant and time come with the card's reply
        alone. And of transactions that lie far enough apart one may be in the window of another behind it.
        """
        if any(card.status is ReadStatus.CONFLICT for card in cards):
            return True
        times = [card.subject.event_time_ms for card in cards]
        return max(times) // DAY_MS - min(times) // DAY_MS > self._merchants.nearest_days

    async def _in_turn(self, link: Link, calls: Sequence[Call], cards: Sequence[CardReply]) -> list[Raw]:
        """Read merchants and tell them, transaction by transaction, in one further round trip."""
        commands: list[Command] = []
        reads = []
        for call, card in zip(calls, cards, strict=True):
            reads.append(len(commands))
            commands.append(self._merchants.read([card.subject]))
            if _is_recorded(call, card.status):
                commands.append(self._merchants.record([call]))
        replies = await exchange(link, commands)
        return self._merchants.numbers([replies[position] for position in reads])

    async def _tell(self, link: Link, calls: Sequence[Call], statuses: Sequence[ReadStatus]) -> None:
        """Tell the merchants what their cards have recorded."""
        recorded = [call for call, status in zip(calls, statuses, strict=True) if _is_recorded(call, status)]
        if recorded:
            await exchange(link, [self._merchants.record([call]) for call in recorded])


async def attempt(link: Link, commands: Sequence[Command]) -> list[Any]:
    """One round trip; where the store refused a call, such as at a key of a wrong type, stands its error.

    Raises:
        redis.exceptions.RedisError: The store did not answer; some calls may have been carried out.
    """
    replies = await link.call(commands)
    for reply in replies:
        if isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
            raise reply
    return replies


async def exchange(link: Link, commands: Sequence[Command]) -> list[Any]:
    """One round trip whose calls all have to succeed.

    Raises:
        redis.exceptions.RedisError: The store did not answer, or refused a call; others may have been carried out.
    """
    replies = await link.call(commands)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return replies


def _at_cards(script: LuaScript, calls: Sequence[Call]) -> list[Command]:
    return [(script.digest, b"1", *call.command) for call in calls]


def _rendered(name: str, pieces: dict[str, str]) -> LuaScript:
    return LuaScript(templates.render(__package__, name, pieces))


def _is_recorded(call: Call, status: ReadStatus) -> bool:
    """Whether its merchant has to know the transaction: the card has it, and the merchant is known."""
    return status in _RECORDED and bool(call.subject.merchant_id)
