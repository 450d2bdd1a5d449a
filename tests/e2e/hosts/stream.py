"""The recorded stream: simulated traffic with hostile requests mixed in, the same for every host."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import orjson

from shared.simulation.config import SimulationConfig
from shared.simulation.stream import Kind, LiveStream
from tests.support.transactions import CARD_NUMBER

START_MS = 1_757_894_400_000
"""2025-09-15 UTC: well in the past, so that no answer depends on the clock's date."""

Document = dict[str, Any]
Change = Callable[[random.Random, Document], Document | bytes]


class Recorded(NamedTuple):
    """One request of the stream; a batch is several transactions."""

    kind: str
    target: str
    body: bytes
    transactions: int = 1
    content_type: str = "application/json"


def _with(**fields: Any) -> Change:
    return lambda _chance, document: document | fields


def _text(field: str, suffix: str) -> Change:
    return lambda _chance, document: document | {field: document[field] + suffix}


def _moved(**by: float) -> Change:
    def change(_chance: random.Random, document: Document) -> Document:
        moved = datetime.fromisoformat(document["timestamp"]) - timedelta(**by)
        return document | {"transaction_id": document["transaction_id"] + "l", "timestamp": _rfc3339(moved)}

    return change


def _zoned(_chance: random.Random, document: Document) -> Document:
    there = datetime.fromisoformat(document["timestamp"]) + timedelta(hours=14)
    return document | {"timestamp": there.strftime("%Y-%m-%dT%H:%M:%S.%f+14:00")}


def _conflicting(chance: random.Random, document: Document) -> Document:
    return document | {"amount": str(chance.randrange(1, 5_000)), "merchant_id": document["merchant_id"] + "c"}


def _cut(chance: random.Random, document: Document) -> bytes:
    body = orjson.dumps(document)
    return body[: chance.randrange(1, len(body))]


def _noise(chance: random.Random, _document: Document) -> bytes:
    return chance.randbytes(chance.randrange(1, 300))


def _not_utf8(_chance: random.Random, document: Document) -> bytes:
    return orjson.dumps(document | {"city": "@"}).replace(b"@", b"Z\xfcrich")


def _surrogate(_chance: random.Random, document: Document) -> bytes:
    return orjson.dumps(document | {"city": "@"}).replace(b"@", b"\\ud800")


def _twice_named(_chance: random.Random, document: Document) -> bytes:
    return orjson.dumps(document)[:-1] + b',"amount":"1.00"}'


def _nested(_chance: random.Random, _document: Document) -> bytes:
    return b'{"amount":' + b"[" * 3_000 + b"]" * 3_000 + b"}"


HOSTILE: dict[str, Change] = {
    "card number as card": _with(card_id=CARD_NUMBER),
    "card number with spaces": _with(card_id="4111 1111 1111 1111"),
    "card number as merchant": _with(merchant_id=CARD_NUMBER),
    "card number as field": _with(**{CARD_NUMBER: "x"}),
    "negative amount": _with(amount="-1"),
    "amount with exponent": _with(amount="1e3"),
    "amount too fine": _with(amount="12.345"),
    "amount too large": _with(amount="99999999999999999999"),
    "amount true": _with(amount=True),
    "amount object": _with(amount={"a": [1]}),
    "amount in other digits": _with(amount="١٢"),
    "amount as number": _with(amount=12.3),
    "zero amount": _with(amount=0),
    "unknown field": _with(cvv="123"),
    "unknown currency": _with(currency="EU"),
    "yen with decimals": _with(currency="JPY", amount="1.5"),
    "null card": _with(card_id=None),
    "empty id": _with(transaction_id=""),
    "long id": _with(transaction_id="x" * 5_000),
    "off the globe": _with(latitude=91.0, longitude=0),
    "unknown channel": _with(channel="carrier pigeon"),
    "naive timestamp": _with(timestamp="2025-09-15T12:00:00"),
    "numeric timestamp": _with(timestamp=1_757_894_400),
    "leap second": _with(timestamp="2016-12-31T23:59:60Z"),
    "from the future": _with(timestamp="2199-01-01T00:00:00Z"),
    "before the epoch": _with(timestamp="1969-12-31T23:59:59Z"),
    "zone of its own": _zoned,
    "late by hours": _moved(hours=5),
    "late by a month": _moved(days=29),
    "too late": _moved(days=80),
    "conflicting version": _conflicting,
    "unicode card": _text("card_id", "-жи-卡-🂡"),
    "unicode id": _text("transaction_id", "-e\u0301\u202e\u200b"),
    "control character": _text("merchant_id", "\u0000\u0007"),
    "unicode city": _with(city="Saint-Étienne, 聖艾蒂安"),
    "quotes": _text("merchant_id", "\"'\\ {tag}\r\n"),
    "cut off": _cut,
    "random bytes": _noise,
    "not UTF-8": _not_utf8,
    "lone surrogate": _surrogate,
    "field named twice": _twice_named,
    "deeply nested": _nested,
    "empty": lambda _chance, _document: b"",
    "null": lambda _chance, _document: b"null",
    "a list": lambda _chance, document: orjson.dumps([document]),
    "NaN": lambda _chance, document: orjson.dumps(document).replace(b'"currency"', b'"latitude":NaN,"currency"'),
}


def record(transactions: int, seed: int, run: str) -> list[Recorded]:
    """Make the stream.

    Args:
        transactions: Number of transactions in it, those that are to be refused included.
        seed: Of traffic and hostility.
        run: What all ids begin with: a store that other runs have filled is empty for this one.
    """
    chance = random.Random(seed)
    return list(_bounded(_requests(chance, _traffic(seed, run)), transactions))


def _bounded(requests: Iterator[Recorded], transactions: int) -> Iterator[Recorded]:
    left = transactions
    for request in requests:
        if request.transactions > left:
            continue
        left -= request.transactions
        yield request
        if not left:
            return


def _traffic(seed: int, run: str) -> Iterator[tuple[str, Document]]:
    config = SimulationConfig(
        START_MS, transactions_per_day=600.0, seed=seed, fraud_share=0.05, late_share=0.05, duplicate_share=0.03
    )
    for batch in LiveStream(config).batches():
        for delivery in batch:
            if delivery.kind is not Kind.LABEL:
                named = {
                    name: f"{run}{delivery.document[name]}" for name in ("transaction_id", "card_id", "merchant_id")
                }
                kind = "duplicate" if delivery.kind is Kind.DUPLICATE else "late" if delivery.late else "plain"
                yield kind, delivery.document | named


def _requests(chance: random.Random, traffic: Iterator[tuple[str, Document]]) -> Iterator[Recorded]:
    for kind, document in traffic:
        yield Recorded(kind, _target(chance), orjson.dumps(document))
        draw = chance.random()
        if draw < 0.25:
            name = chance.choice([*HOSTILE])
            changed = HOSTILE[name](chance, document)
            yield Recorded(name, _target(chance), changed if isinstance(changed, bytes) else orjson.dumps(changed))
        elif draw < 0.27:
            yield Recorded("wrong media type", _target(chance), orjson.dumps(document), content_type="text/csv")
        elif draw < 0.30:
            some = [other for _, other in islice(traffic, chance.randrange(1, 6))]
            yield Recorded("batch", "/v1/score/batch?details=true", orjson.dumps({"transactions": some}), len(some))
        elif draw < 0.31:
            some = [document, document | {"amount": "free", "transaction_id": document["transaction_id"] + "b"}]
            yield Recorded("batch with a wrong one", "/v1/score/batch", orjson.dumps({"transactions": some}), len(some))


def _target(chance: random.Random) -> str:
    query = chance.choice(["", "?details=true", "?details=true", "?details=0", "?details=perhaps"])
    return f"/v1/score{query if query != '?details=perhaps' or chance.random() < 0.1 else ''}"


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
