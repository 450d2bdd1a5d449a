"""What Redis holds of a merchant, and the scripts that read and write it.

All keys derive from `m:{merchant}`, so they share a slot of a Redis Cluster, another one than the card's. Integers are
little-endian and unsigned unless said; uN has N bytes. Days are UTC days since 1970.

    :s        latest label time that is noted in `:z` u6, then for each day with transactions, in order: day u3, number
              of transactions u4 and of frauds u4 up to its end. Both run on from the first day that is remembered, and
              frauds are what all labels say.
    :d        hash of days: the day's first `Limits.digests` digests of 12 bytes (BLAKE2b of a transaction's card and
              id), by which a transaction is counted once and a label finds it
    :d<day>   hash of the day's further digests, by their first byte
    :l        hash of days: labels as they came, whether their transaction is there or not: digest, label time u6,
              fraud u1
    :z        sorted set of what labels changed, by label time: day u3, change i1, digest, label time u6. Without the
              changes that every reader of the day knows, because it comes at least a label delay later.

A read searches `:s` for the edges of the windows, so its cost does not depend on how many transactions there are. It
takes out again what became known after its own time, which costs in proportion to the labels since then.

Memory: a transaction takes the 12 bytes of its digest, and its share of a day's 11 bytes and field names; measured on
Valkey 9 are 36 bytes at one transaction a day, 20 at ten and 16 to 23 above. A label takes 19 bytes, 22 more when it
came later than the label delay. What lies before the merchant's memory is deleted with the first transaction of a newer
day, and everything when neither transaction nor label has come for as long as the memory and nine days.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b

from shared.contracts.label import Label
from shared.features import templates
from shared.features.catalogue import Catalogue
from shared.features.definition import DAY_MS
from shared.features.online.layout import Limits
from shared.features.online.link import Command, LuaScript
from shared.features.online.wire import Call, card_key, hash_tag, identity_of
from shared.features.plan import merchant_aggregates, merchant_windows
from shared.features.values import Raw, Subject

DIGEST_BYTES = 12
HEAD_BYTES = 6
ENTRY_BYTES = 11
_TTL_SPARE_DAYS = 9
_TTL_REFRESH_SPARE_DAYS = 2


class LabelOutcome(IntEnum):
    """What became of a label."""

    APPLIED = 0
    """Its transaction is there and now is what its labels say."""
    KNOWN = 1
    """Taken in before: nothing changed."""
    WAITING = 2
    """No transaction of that id, card, merchant and day is there; should it come, the label holds."""
    TOO_LATE = 3
    """Before all that the merchant remembers."""


class Merchants:
    """The scripts of a catalogue's merchant features, and the bytes of their calls and replies.

    Attributes:
        aggregates: What a read answers, in order; nothing, and no call is made, when no feature looks at a merchant.
        scripts: What the calls need on the server.
        functions: Lua of `read` and `record`, as pieces of a script.
        nearest_days: How many days apart two transactions must lie for one to matter to the other's features.
    """

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        windows = merchant_windows(catalogue)
        settings = catalogue.settings
        memory = settings.merchant_memory_days
        pieces = {
            "DELAY": str(settings.label_delay_days),
            "MEMORY": str(memory),
            "HEAD": str(HEAD_BYTES),
            "ENTRY": str(ENTRY_BYTES),
            "DIGEST": str(DIGEST_BYTES),
            "LABEL": str(DIGEST_BYTES + 7),
            "INLINE": str(limits.digests * DIGEST_BYTES),
            "TTL": str((memory + _TTL_SPARE_DAYS) * DAY_MS),
            "TTL_REFRESH": str((memory + _TTL_REFRESH_SPARE_DAYS) * DAY_MS),
        }
        pieces["STATE"] = templates.render(__package__, "merchant_state.lua", pieces)
        self.aggregates = merchant_aggregates(windows)
        self._doubles = struct.Struct(f"<{len(self.aggregates)}d")
        self.functions = {
            "READ": templates.render(__package__, "merchant_read.lua", pieces | self._reading(windows)),
            "RECORD": templates.render(__package__, "merchant_record.lua", pieces),
        }
        self._read = LuaScript(templates.render(__package__, "merchant_read_each.lua", self.functions))
        self._record = LuaScript(templates.render(__package__, "merchant_record_each.lua", self.functions))
        self._label = LuaScript(templates.render(__package__, "merchant_label.lua", pieces))
        self.scripts = (self._read, self._record, self._label) if windows else (self._record, self._label)
        self.nearest_days = min(settings.label_delay_days, memory - settings.label_delay_days - max(windows, default=1))

    def _reading(self, windows: Sequence[int]) -> dict[str, str]:
        subtracted = [
            f"local txns_{days}, frauds_{days} = until_end_of(last - {days}, place)\n"
            f"txns_{days}, frauds_{days} = transactions - txns_{days}, frauds - frauds_{days}"
            for days in windows
        ]
        taken_out = [f"if day > last - {days} then frauds_{days} = frauds_{days} - change end" for days in windows]
        return {
            "NOTHING": "\\0" * self._doubles.size,
            "WINDOWS": "\n  ".join(subtracted),
            "TAKE_OUT": "\n".join(taken_out),
            "FORMAT": "d" * len(self.aggregates),
            "REPLY": ", ".join(f"txns_{days}, frauds_{days}" for days in windows),
        }

    def read(self, subjects: Sequence[Subject]) -> Command:
        """The call that reads the merchants of transactions, each as of its event time."""
        return (
            self._read.digest,
            b"%d" % len(subjects),
            *[merchant_key(subject.merchant_id) for subject in subjects],
            *[subject.event_time_ms.to_bytes(6, "little") for subject in subjects],
        )

    def numbers(self, replies: Sequence[bytes]) -> list[Raw]:
        """The numbers of each transaction in the replies of reads, in the order of `aggregates`."""
        return [tuple(map(int, numbers)) for numbers in self._doubles.iter_unpack(b"".join(replies))]

    def record(self, calls: Sequence[Call]) -> Command:
        """The call that records packed transactions at their merchants."""
        arguments = [argument for call in calls for argument in recording(call)]
        keys = [merchant_key(call.subject.merchant_id) for call in calls]
        return (self._record.digest, b"%d" % len(calls), *keys, *arguments)

    def label(self, label: Label) -> Command:
        """The call that takes in a label."""
        digest = _digest(card_key(label.card_id).encode(), identity_of(label.transaction_id))
        day = label.event_time_ms // DAY_MS
        said = label.label_time_ms.to_bytes(6, "little") + bytes([label.is_fraud])
        return (self._label.digest, b"1", merchant_key(label.merchant_id), digest, b"%d" % day, said)


def merchant_key(merchant_id: str | None) -> bytes:
    """The prefix of a merchant's keys: the merchant id as hash tag, so that they share a slot of a Redis Cluster."""
    return f"m:{{{hash_tag(merchant_id or '')}}}".encode()


def recording(call: Call) -> tuple[bytes, bytes]:
    """What a merchant is told of a packed transaction: the digest of its card and id, and its day."""
    return _digest(call.command[0], call.command[1]), b"%d" % (call.subject.event_time_ms // DAY_MS)


def _digest(card: bytes, identity: bytes) -> bytes:
    """96 bits: of a million transactions of a merchant's day, two share a digest once in 10^17 days."""
    return blake2b(card + b"\0" + identity, digest_size=DIGEST_BYTES).digest()
