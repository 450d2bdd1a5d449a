"""The bytes of a call of the script and of its reply."""

from __future__ import annotations

import math
import re
import struct
from binascii import b2a_base64
from enum import IntEnum
from operator import itemgetter
from typing import NamedTuple

from shared.contracts.transaction import Transaction
from shared.features.catalogue import Catalogue
from shared.features.online import scan
from shared.features.online.layout import HEAD_BYTES, Limits
from shared.features.online.script import render
from shared.features.plan import Aggregate, Op, merchant_aggregates, merchant_windows, plan
from shared.features.values import Integers, Raw, Subject, Value, finishers, request_finishers

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_PLACE = struct.Struct("<ii")
_NOWHERE = _PLACE.pack(-(2**31), -(2**31))
_TIME_AND_AMOUNT_BYTES = 12
_MAX_EVENT_TIME_MS = 2**48 - 1
_MAX_AMOUNT_MINOR = 10**12
_DEGREE = 10_000_000


class ReadStatus(IntEnum):
    """What the store knew of a transaction when it was read."""

    NEW = 0
    """Recorded now."""
    SEEN = 1
    """Recorded before, with the same content: answered as of now, recorded no second time."""
    CONFLICT = 2
    """Recorded before with other content: answered with the first version's features."""
    TOO_LATE = 3
    """Before all that the card remembers: not recorded, answered from itself alone."""


class FeatureRead(NamedTuple):
    """The answer to one transaction.

    Attributes:
        values: The features in the catalogue's order.
        status: What the store knew of the transaction.
        cut: Whether a window reaches back beyond what the card holds, for it has more transactions than
            `Limits.most`: the features of that window are then those of the latest transactions alone.
    """

    values: tuple[Value, ...]
    status: ReadStatus
    cut: bool = False


class Call(NamedTuple):
    """One transaction, ready to be sent."""

    command: tuple[bytes, ...]
    """Key, id with its kind, head, texts in the order of `STORED_TEXTS`."""
    subject: Subject


def card_key(card_id: str) -> str:
    """The prefix of a card's keys: the card id as hash tag, so that they share a slot of a Redis Cluster."""
    return f"f:{{{hash_tag(card_id)}}}"


def hash_tag(text: str) -> str:
    """The text as a hash tag of a Redis Cluster: braces are escaped, so different texts stay different."""
    if "%" in text or "{" in text or "}" in text:
        return text.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return text


def subject_of(transaction: Transaction) -> Subject:
    """What features look at of the transaction itself."""
    latitude, longitude = transaction.latitude, transaction.longitude
    if latitude is None or longitude is None:
        place = None
    else:
        place = (math.floor(latitude * _DEGREE + 0.5), math.floor(longitude * _DEGREE + 0.5))
    return Subject(
        transaction.event_time_ms,
        transaction.amount_minor,
        place,
        transaction.merchant_id,
        transaction.merchant_category,
        transaction.city,
        transaction.country,
        transaction.channel,
    )


def pack(transaction: Transaction) -> Call:
    """Make the arguments of a transaction's call.

    Raises:
        ValueError: Its time or amount is out of range, or a text holds a NUL.
    """
    subject = subject_of(transaction)
    time, amount, place, *texts = subject
    if not (0 <= time <= _MAX_EVENT_TIME_MS and 0 <= amount <= _MAX_AMOUNT_MINOR):
        raise ValueError("event time or amount out of range")
    identity = transaction.transaction_id
    encoded = [text.encode() if text else b"" for text in texts]
    if "\0" in identity or b"\0" in b"".join(encoded):
        raise ValueError("a text holds a NUL")
    head = (time | amount << 48).to_bytes(_TIME_AND_AMOUNT_BYTES, "little")
    head += _NOWHERE if place is None else _PLACE.pack(*place)
    key = card_key(transaction.card_id)
    return Call((key.encode(), identity_of(identity), head, *encoded), subject)


def identity_of(transaction_id: str) -> bytes:
    """A transaction's id with its kind. A UUID in 22 characters instead of 36: ids are most of a card's memory."""
    if len(transaction_id) == 36 and _UUID(transaction_id):
        return f"u{_shortened(transaction_id)}".encode()
    return f"i{transaction_id}".encode()


def _shortened(uuid: str) -> str:
    return b2a_base64(bytes.fromhex(uuid.replace("-", "")), newline=False)[:22].decode()


class CardReply(NamedTuple):
    """What was read of a card."""

    status: ReadStatus
    raw: Raw
    subject: Subject
    """The transaction that the features are of: for a conflict the first version."""
    cut: bool
    """See `FeatureRead.cut`."""


class Protocol:
    """The script of a catalogue, and how its replies become features.

    Attributes:
        script: Records a transaction and reads its aggregates.
        recording: The same without the aggregates: no window is looked at.
    """

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        self.script = render(plan(catalogue), limits)
        self.recording = render(plan(catalogue), limits, ())
        of_merchant = merchant_aggregates(merchant_windows(catalogue))
        self._merchant = {aggregate: self.script.doubles + k for k, aggregate in enumerate(of_merchant)}
        self._of_card = struct.Struct(f"<{self.script.doubles}d")
        self._of_both = struct.Struct(f"<{self.script.doubles + len(of_merchant)}d")
        self._finishers = finishers(catalogue, self._integers)
        self._request_finishers = request_finishers(catalogue)

    def open(self, reply: bytes, subject: Subject) -> CardReply:
        """What a reply to the call of that subject says of the card."""
        return self._opened(reply, subject, self._of_card)

    def read(self, reply: bytes, subject: Subject) -> FeatureRead:
        """Make the features of a reply that has the merchant's numbers too."""
        return self.finish(self._opened(reply, subject, self._of_both), ())

    def status(self, reply: bytes) -> ReadStatus:
        """What a reply says the store knew of the transaction."""
        return _STATUSES[int(_STATUS.unpack_from(reply)[0]) & ~CUT]

    def finish(self, card: CardReply, merchant: Raw) -> FeatureRead:
        """Make the features of what was read of the card, and of the merchant in the order of `merchant_aggregates`."""
        raw, subject = card.raw + merchant, card.subject
        return FeatureRead(tuple([finish(raw, subject) for finish in self._finishers]), card.status, card.cut)

    def _opened(self, reply: bytes, subject: Subject, numbers: struct.Struct) -> CardReply:
        raw = tuple(map(int, numbers.unpack_from(reply)))
        code = raw[0]
        status = _STATUSES[code & ~CUT]
        if status is ReadStatus.CONFLICT:
            subject = _first_version(reply[numbers.size :])
        return CardReply(status, raw, subject, code >= CUT)

    def request_only(self, subject: Subject) -> tuple[Value, ...]:
        """The vector without the card's and the merchant's history: their features are null."""
        return tuple([finish((), subject) for finish in self._request_finishers])

    def _integers(self, aggregate: Aggregate) -> list[Integers]:
        if aggregate in self._merchant:
            return [itemgetter(self._merchant[aggregate])]
        at = self.script.position[aggregate]
        match aggregate.op:
            case Op.SUM:
                return [lambda raw: (raw[at] << 40) + raw[at + 1]]
            case Op.SQUARES:
                return [lambda raw: (raw[at] << 80) + (raw[at + 1] << 40) + raw[at + 2]]
            case _:
                return [itemgetter(at + k) for k in range(scan.doubles(aggregate))]


_STATUSES = tuple(ReadStatus)
_STATUS = struct.Struct("<d")
CUT = 8
"""Is added to the status of a read that was cut."""


def _first_version(tail: bytes) -> Subject:
    """The version of a repeated id that was recorded: head and texts at the end of a conflict's reply."""
    numbers = int.from_bytes(tail[:_TIME_AND_AMOUNT_BYTES], "little")
    packed = tail[_TIME_AND_AMOUNT_BYTES:HEAD_BYTES]
    place = None if packed == _NOWHERE else _PLACE.unpack(packed)
    texts = [text or None for text in tail[HEAD_BYTES:].decode().split("\0")[:-1]]
    return Subject(numbers & _MAX_EVENT_TIME_MS, numbers >> 48, place, *texts)
