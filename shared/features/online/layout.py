"""What Redis holds of a card. All keys derive from `f:{card}`, so they share a slot of a Redis Cluster.

Integers are little-endian and unsigned unless said; uN has N bytes. A head is event time u6, amount u6, latitude and
longitude i4 in 10^-7 degrees (both -2^31 when unknown). A version is a head and five references (merchant, category,
city, country, channel; 0 when unknown).

Small card (below `Limits.small`): scanned whole on each call.
    :l   'S', then versions with references u2 and the reference of the id u2, in order of arrival
    :s   heap of texts: NUL, then kind, text, NUL for each; a reference is the position of the kind

Large card: its transactions in order of event time, of one moment in order of arrival, as the leaves of a tree of three
levels. Every level holds running sums, so that what lies in a window is the difference of two places.
    :l       root: 'L', next free number u4, earliest event time not forgotten for want of room u6 (0: all), number of
             buckets u3, an entry per page
    :p<n>    page: an entry for each of up to `Limits.page` blocks
    :t<n> :b<n>   block: moments, and rows, of up to `Limits.full` transactions
    :k   hash of texts and ids:
         kind and text -> code u3, then for dated kinds (day u3, first and last millisecond of the day u4, times at the
         first millisecond u1) for each day it was seen on; '#' the highest code
         number of a bucket -> (length u1, id, version with codes u3, number of those of its moment that were there
         before u2) for each id in it
    :z<kind>  sorted set of codes by the time they were seen last, for texts that are counted
An entry is the first event time u6, the number of the page or block u4, then what lies before it (before a block: in
its page), then of itself the largest amount u6 and, of a block, the row of the latest located transaction u1, of a
page, whether there is one. Of the last block and page these two are noted once it is full.
A moment is event time u6, codes u3 of the counted texts: what is searched. A row is amount u6, latitude, longitude i4,
then the running values up to and with it within its block: sum, squares, nights, largest amount u6, row of the latest
located transaction u1.

A transaction in order is appended to the last block, or begins a new one after `Limits.block` rows. A late one is put
where it belongs: its block, and what follows in its page and in the root, are written anew, at most `Limits.full` rows
and `page` + number of pages entries. A block has room for late ones beyond those that were appended, for to make two
of a full one costs as much again. Nothing waits to be merged, so no call costs much more than another.

What lies before the horizon is forgotten a bounded share at a time: blocks as others are added, ids and texts as blocks
fill up, at rows where nothing else is to be done. No answer depends on when.

A card holds at most about `Limits.most` transactions. Beyond, it forgets its oldest although they are inside the
retention: what a window then still covers is answered exactly, and every read with a window that reaches back beyond
what is held is marked as cut (`FeatureRead.cut`). Only "is new" may then still know a text from the earliest day held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.features.definition import DAY_MS
from shared.features.plan import STORED_TEXTS, Aggregate, Op

TEXT_KINDS = dict(zip(STORED_TEXTS, "mgcnh", strict=True))
"""The byte that marks each text field; ids have `i`, or `u` for a shortened UUID."""

KEY_TTL_MS = 40 * DAY_MS
"""Wall-clock life of a card's keys after its last recorded transaction, at least `TTL_REFRESH_MS`."""
TTL_REFRESH_MS = 33 * DAY_MS

TIME_BYTES = 6
VALUES_BYTES = 14
"""Amount and place."""
HEAD_BYTES = TIME_BYTES + VALUES_BYTES
SMALL_REF_BYTES = 2
CODE_BYTES = 3
SMALL_VERSION_BYTES = HEAD_BYTES + SMALL_REF_BYTES * len(STORED_TEXTS)
SMALL_RECORD_BYTES = SMALL_VERSION_BYTES + SMALL_REF_BYTES
TIED_BYTES = 2
VERSION_BYTES = HEAD_BYTES + CODE_BYTES * len(STORED_TEXTS) + TIED_BYTES

ROOT_HEAD_BYTES = 14
ROOT_BASE_FORMAT = "I4I4I5I4I5I5I4"
"""Number, sum (2 limbs of 40 bits, the highest first), sum of squares (3 limbs), nights before a page."""
ROOT_ENTRY_BYTES = 48
PAGE_BASE_FORMAT = "I2I7I7I5I2"
"""Number, sum, sum of squares (2 limbs), nights before a block in its page."""
PAGE_ENTRY_BYTES = 40
RUNNING_FORMAT = "I6I6I5I1"
"""Sum, sum of squares (2 limbs), nights of a block up to a row."""
RUNNING_BYTES = 25
NOWHERE = -(2**31)


@dataclass(frozen=True)
class Limits:
    """Where one representation gives way to another; tests set them small to force the rare paths.

    Attributes:
        small: Transactions from which on a card is large.
        heap: Bytes of texts from which on it is; with the texts of one more transaction, below 2^16.
        block: Rows after which transactions in order begin a new block; at most 200.
        page: Blocks of a page.
        bucket: Bytes of a bucket of ids from which on there is one bucket more.
        sweep: Buckets and texts looked at for forgotten ones, four times as a block fills up.
        most: Transactions that a card holds, give or take a block.
        digests: Transactions of a merchant's day whose digests stand in one field; the rest is spread over 256.
    """

    small: int = 128
    heap: int = 48_000
    block: int = 48
    page: int = 16
    bucket: int = 1_000
    sweep: int = 6
    most: int = 131_072
    digests: int = 64

    @property
    def full(self) -> int:
        """Rows at which a late transaction makes two of a block; at most 255, for a row's number is a byte."""
        return self.block + max(self.block // 4, 1)


def counted_texts(aggregates: Sequence[Aggregate]) -> list[str]:
    """Text fields whose different values are counted."""
    return [field for field in STORED_TEXTS if any(a.op is Op.DISTINCT and a.field == field for a in aggregates)]


def dated_texts(aggregates: Sequence[Aggregate]) -> list[str]:
    """Text fields whose earlier occurrences are looked for."""
    return [field for field in STORED_TEXTS if any(a.op is Op.MET and a.field == field for a in aggregates)]
