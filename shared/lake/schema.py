"""The tables of the lake: their columns, and what makes two rows the same event.

Columns of every table:

* ``day``: UTC day of the event time; the tables are partitioned by it.
* ``event_time_ms``: event time of the transaction that the row is about, UTC milliseconds.
* ``arrival``: when the row's fact became known, UTC microseconds: of a decision the moment it was made, of a shadow the
  moment it was scored, of transactions and labels the moment that Kafka's record bears. Rows of one microsecond and one
  card stand in the order of ``kafka_offset``. It is the order that `shared.features.history` computes by.
* ``kafka_partition``, ``kafka_offset``, ``kafka_time_ms``: where the event stood on its topic. Of an event that was
  published twice the first copy is kept.
* ``event_key``: digest of what identifies the event; no two rows of a table have the same.

Money is ``amount_minor`` (integer minor units of ``currency``), times are UTC milliseconds. ``decisions`` has each
feature of the logged vector as a column ``f_<name>``, BIGINT or DOUBLE by what the feature is; a column appears with
the first archived decision that has the feature, and is null before. ``control`` marks would-be declines that were let
through, ``propensity`` is the chance of a would-be decline to be. ``features_cut`` marks vectors whose longest windows
reach beyond what a card with too many transactions holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import pyarrow as pa

from shared.bus import topics
from shared.features.catalogue import CATALOGUE, Catalogue, Kind

TableName = Literal["transactions", "decisions", "shadows", "labels"]
TABLE_NAMES: Final[tuple[TableName, ...]] = get_args(TableName)

DAY: Final = "day"
KEY: Final = "event_key"
EVENT_TIME: Final = "event_time_ms"
ARRIVAL: Final = "arrival"
FEATURE_PREFIX: Final = "f_"
KEY_BYTES: Final = 16
STATISTICS: Final = (EVENT_TIME, ARRIVAL, "kafka_offset")
"""Columns whose least and greatest values the Delta log holds for each file."""

_INTEGER_KINDS = frozenset(
    {
        Kind.AMOUNT,
        Kind.COUNT,
        Kind.SUM,
        Kind.DISTINCT,
        Kind.HOUR_OF_DAY,
        Kind.WEEKEND,
        Kind.HIGH_RISK,
        Kind.IS_NEW,
        Kind.MERCHANT_COUNT,
    }
)

_TRANSACTION: Final = (
    pa.field("transaction_id", pa.string(), nullable=False),
    pa.field("card_id", pa.string(), nullable=False),
    pa.field("amount_minor", pa.int64(), nullable=False),
    pa.field("currency", pa.string(), nullable=False),
    pa.field("merchant_id", pa.string(), nullable=False),
    pa.field("merchant_category", pa.string()),
    pa.field("city", pa.string()),
    pa.field("country", pa.string()),
    pa.field("latitude", pa.float64()),
    pa.field("longitude", pa.float64()),
    pa.field("channel", pa.string()),
)
TRANSACTION_FIELDS: Final = tuple(field.name for field in _TRANSACTION)
"""A transaction's own columns, beside `event_time_ms`."""

_COMMON: Final = (
    pa.field(EVENT_TIME, pa.int64(), nullable=False),
    pa.field(ARRIVAL, pa.int64(), nullable=False),
    pa.field("kafka_partition", pa.int32(), nullable=False),
    pa.field("kafka_offset", pa.int64(), nullable=False),
    pa.field("kafka_time_ms", pa.int64(), nullable=False),
    pa.field(KEY, pa.binary(), nullable=False),
    pa.field(DAY, pa.date32(), nullable=False),
)

_REASON: Final = pa.struct(
    [pa.field("feature", pa.string()), pa.field("text", pa.string()), pa.field("contribution", pa.float64())]
)
_DECISION: Final = (
    pa.field("decision_id", pa.string(), nullable=False),
    pa.field("decision", pa.string(), nullable=False),
    pa.field("score", pa.float64(), nullable=False),
    pa.field("reasons", pa.list_(_REASON)),
    pa.field("model_version", pa.string(), nullable=False),
    pa.field("policy_version", pa.string(), nullable=False),
    pa.field("as_of_ms", pa.int64(), nullable=False),
    pa.field("degraded", pa.bool_(), nullable=False),
    pa.field("feature_status", pa.string(), nullable=False),
    pa.field("catalogue_version", pa.string(), nullable=False),
    pa.field("decided_at_ms", pa.int64(), nullable=False),
    pa.field("control", pa.bool_()),
    pa.field("propensity", pa.float64()),
    pa.field("features_cut", pa.bool_()),
)
_SHADOW: Final = (
    pa.field("decision_id", pa.string(), nullable=False),
    pa.field("transaction_id", pa.string(), nullable=False),
    pa.field("card_id", pa.string(), nullable=False),
    *(
        pa.field(f"{side}_{name}", kind, nullable=False)
        for side in ("champion", "challenger")
        for name, kind in (
            ("model_version", pa.string()),
            ("policy_version", pa.string()),
            ("decision", pa.string()),
            ("score", pa.float64()),
        )
    ),
    pa.field("agree", pa.bool_(), nullable=False),
    pa.field("scored_at_ms", pa.int64(), nullable=False),
)
_LABEL: Final = (
    pa.field("transaction_id", pa.string(), nullable=False),
    pa.field("card_id", pa.string(), nullable=False),
    pa.field("merchant_id", pa.string(), nullable=False),
    pa.field("is_fraud", pa.bool_(), nullable=False),
    pa.field("label_time_ms", pa.int64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("pattern", pa.string()),
)


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: Its name, which is its folder under the lake's address.
        topic: Kafka topic that fills it.
        schema: Its columns; of `decisions` without features.
        identity: Columns that identify an event: two records that agree in them are one event, published twice.
    """

    name: TableName
    topic: str
    schema: pa.Schema
    identity: tuple[str, ...]

    def offset_id(self, partition: int) -> str:
        """Name of the Delta application transaction whose version is how far a partition is archived."""
        return f"kafka:{self.topic}:{partition}"

    @property
    def hole_id(self) -> str:
        """The same for the moment (UTC milliseconds) before which records were gone before they could be archived."""
        return f"hole:{self.topic}"


TABLES: Final[dict[TableName, Table]] = {
    table.name: table
    for table in (
        # A second version of a transaction, with other content, is another event: features depend on it.
        Table(
            "transactions",
            topics.TRANSACTIONS,
            pa.schema([*_TRANSACTION, *_COMMON]),
            (*TRANSACTION_FIELDS, EVENT_TIME),
        ),
        # Ids of transactions, and with them decision ids, are unique per card.
        Table(
            "decisions",
            topics.DECISIONS,
            pa.schema([*_DECISION, *_TRANSACTION, *_COMMON]),
            ("card_id", "decision_id", EVENT_TIME),
        ),
        Table(
            "shadows",
            topics.SHADOWS,
            pa.schema([*_SHADOW, *_COMMON]),
            ("card_id", "decision_id", "challenger_model_version", EVENT_TIME),
        ),
        Table(
            "labels",
            topics.LABELS,
            pa.schema([*_LABEL, *_COMMON]),
            (*(field.name for field in _LABEL), EVENT_TIME),
        ),
    )
}


def feature_column(name: str) -> str:
    """The column of a feature."""
    return FEATURE_PREFIX + name


def feature_fields(catalogue: Catalogue = CATALOGUE) -> list[pa.Field]:
    """Columns of a catalogue's features, in vector order."""
    return [
        pa.field(feature_column(feature.name), pa.int64() if feature.kind in _INTEGER_KINDS else pa.float64())
        for feature in catalogue
    ]


def event_key(values: Iterable[object]) -> bytes:
    """The digest of the values that identify an event: BLAKE2b, 16 bytes; absent values and types are told apart."""
    text = "\x00".join(f"{type(value).__name__}:{value}" for value in values)
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()
