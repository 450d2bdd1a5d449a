"""What Redis holds of a card. All keys derive from `f:{card}`, so they share a slot of a Redis Cluster.

Integers are little-endian and unsigned unless said; uN has N bytes. A head is event time u6, amount u6, latitude and
longitude i4 in 10^-7 degrees (both -2^31 when unknown). A version is a head and five references u3 (merchant, category,
city, country, channel; 0 when unknown). A record is a version and, of a small card, the reference of its id u3, of a
large one the number of its arrival u3, which tells equal transactions apart.

Small card (below `SMALL` transactions): scanned whole on each call.
    :l   'S0' and three zeros, records in order of arrival
    :s   heap of texts: NUL, then kind, text, NUL for each; a reference is the position of the kind

Large card: what is sealed is answered from running sums, the log is scanned.
    :l   'L', number of runs as a character from '0', least number of the next arrival u3, records in order of arrival
    :k   hash of texts: kind and text -> code u3, then for dated kinds (day u3, first and last millisecond of the day
         u4, times at the first millisecond u1) for each day it was seen on; '#' the highest code
    :i   hash of ids: number of the bucket -> (length u1, id, record) for each
    :z<kind>  sorted set of codes by the time they were seen last, for texts that are counted
    :x :y :b<n>       the main sequence: in order of event time, sealed blocks of up to `BLOCK`
    :<r>x :<r>y :<r>b<n>   run r: a sequence of late transactions
A sequence's index (x) is number of the first block u4, records u4, event time of the last u6, then the running values
after the last record (sum u4 u5, squares u4 u5 u5, nights u4, number of the latest located record u4, its time u6),
then per block its first event time u6 and the number of records before it u4. y holds the largest amount u6 of each
block.
A block is the event times u6 of its records, then per record amount u6, latitude, longitude i4, codes u3 of the counted
texts, number of the arrival u3, and the running values up to and with it, the largest amount of the block so far u6
among them.

Sums run on from the first transaction of a card: trimming the front changes no difference, so it changes no answer.
Late transactions never move what is sealed: they wait in the log, and many of them become a run; runs merge as they
grow.
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

HEAD_BYTES = 20
REF_BYTES = 3
ORDER_BYTES = 3
LOG_HEAD_BYTES = 5
VERSION_BYTES = HEAD_BYTES + REF_BYTES * len(STORED_TEXTS)
RECORD_BYTES = VERSION_BYTES + ORDER_BYTES
INDEX_FORMAT = "I4I4I6I4I5I4I5I5I4I4I6"
INDEX_BYTES = 51
RUNNING_BYTES = 37
NOWHERE = -(2**31)


@dataclass(frozen=True)
class Limits:
    """Where one representation gives way to another; tests set them small to force the rare paths.

    Attributes:
        small: Transactions from which on a card is large.
        heap: Bytes of texts from which on it is.
        log: Records of a large card's log that make it sealed.
        late: Late records that may wait in the log.
        block: Records of a sealed block.
        buckets: Buckets of ids; a multiple of `sweep`.
        sweep: Buckets looked through for forgotten ids on each sealing.
        digests: Transactions of a merchant's day whose digests stand in one field; the rest is spread over 256.
    """

    small: int = 128
    heap: int = 60_000
    log: int = 128
    late: int = 32
    block: int = 64
    buckets: int = 512
    sweep: int = 64
    digests: int = 64


def counted_texts(aggregates: Sequence[Aggregate]) -> list[str]:
    """Text fields whose different values are counted."""
    return [field for field in STORED_TEXTS if any(a.op is Op.DISTINCT and a.field == field for a in aggregates)]


def dated_texts(aggregates: Sequence[Aggregate]) -> list[str]:
    """Text fields whose earlier occurrences are looked for."""
    return [field for field in STORED_TEXTS if any(a.op is Op.MET and a.field == field for a in aggregates)]
