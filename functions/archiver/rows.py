"""From events to rows of the lake's tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
from pydantic import ValidationError

from shared.contracts import cloudevents, problems
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.contracts.decision import FeatureValue, record_from_event
from shared.contracts.event_time import to_milliseconds
from shared.contracts.label import Label
from shared.contracts.shadow import Shadow
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE, Settings
from shared.lake.schema import (
    ARRIVAL,
    DAY,
    EVENT_TIME,
    KEY,
    TABLES,
    TRANSACTION_FIELDS,
    Table,
    TableName,
    event_key,
    feature_column,
    feature_fields,
)

Row = dict[str, Any]
FeatureTypes = Mapping[str, pa.DataType]
"""Types of the feature columns that are known, by column."""

_EVENT_TYPES: Final[dict[TableName, str]] = {
    "transactions": cloudevents.TRANSACTION,
    "decisions": cloudevents.DECISION,
    "shadows": cloudevents.SHADOW,
    "labels": cloudevents.LABEL,
}
_FEATURE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_FEATURES: Final = 500
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stood on its topic."""

    partition: int
    offset: int
    time_ms: int


def known_features(schema: pa.Schema | None) -> FeatureTypes:
    """Types of the feature columns of a table's schema, and of the catalogue for those that it has not got yet."""
    prefix = feature_column("")
    types = {field.name: field.type for field in feature_fields(CATALOGUE)}
    existing = () if schema is None else schema
    return types | {field.name: field.type for field in existing if field.name.startswith(prefix)}


def to_row(name: TableName, event: Event, place: Place, features: FeatureTypes) -> Row:
    """The row of an event.

    Raises:
        PoisonEvent: It is no event of the table's kind.
    """
    if event.type != _EVENT_TYPES[name]:
        raise PoisonEvent(f"expected an event of type {_EVENT_TYPES[name]}")
    try:
        row = _decision(event, features) if name == "decisions" else _READERS[name](event, place)
    except ValidationError as error:
        raise PoisonEvent(problems.from_validation(error).detail) from None
    table: Table = TABLES[name]
    row.setdefault(ARRIVAL, place.time_ms * 1000)
    row |= {
        "kafka_partition": place.partition,
        "kafka_offset": place.offset,
        "kafka_time_ms": place.time_ms,
        KEY: event_key(row[column] for column in table.identity),
        DAY: date.fromordinal(_EPOCH + row[EVENT_TIME] // _DAY_MS),
    }
    return row


def _transaction_columns(transaction: Transaction) -> Row:
    return {name: getattr(transaction, name) for name in TRANSACTION_FIELDS} | {EVENT_TIME: transaction.event_time_ms}


def _transaction(event: Event, place: Place, settings: Settings = CATALOGUE.settings) -> Row:
    transaction = Transaction.from_event(event.data)
    # No feature has seen it: the scorer and the updater refuse it too, by the clock of the moment it came.
    if settings.refuses(transaction.event_time_ms, place.time_ms):
        raise PoisonEvent("timestamp: lies too far ahead of the clock")
    return _transaction_columns(transaction)


def _decision(event: Event, features: FeatureTypes) -> Row:
    record = record_from_event(event.data)
    if len(record.features) > _MOST_FEATURES:
        raise PoisonEvent(f"features: more than {_MOST_FEATURES}")
    row = _transaction_columns(record.transaction)
    row |= {
        "transaction_id": record.transaction_id,
        "decision_id": record.decision_id,
        "decision": record.decision,
        "score": record.score,
        "reasons": [reason.model_dump() for reason in record.reasons],
        "model_version": record.model_version,
        "policy_version": record.policy_version,
        "as_of_ms": to_milliseconds(record.as_of),
        "degraded": record.degraded,
        "feature_status": record.feature_status,
        "catalogue_version": record.catalogue_version,
        "decided_at_ms": to_milliseconds(record.decided_at),
        "control": record.control,
        "propensity": record.propensity,
        "features_cut": record.features_cut,
        ARRIVAL: _microseconds(record.decided_at),
    }
    for name, value in record.features.items():
        column = feature_column(name)
        row[column] = _feature(name, value, features.get(column, pa.float64()))
    return row


def _feature(name: str, value: FeatureValue, kind: pa.DataType) -> FeatureValue:
    if _FEATURE_NAME.fullmatch(name) is None:
        raise PoisonEvent("features: a name is not lower-case letters, digits and underscores")
    if value is None:
        return None
    if not pa.types.is_integer(kind):
        return float(value)
    if value != int(value):
        raise PoisonEvent(f"features: {name} is not a whole number")
    return int(value)


def _shadow(event: Event, _place: Place) -> Row:
    shadow = Shadow.model_validate_json(event.data)
    row: Row = {
        "decision_id": shadow.decision_id,
        "transaction_id": shadow.transaction_id,
        "card_id": shadow.card_id,
        "agree": shadow.agree,
        "scored_at_ms": to_milliseconds(shadow.scored_at),
        EVENT_TIME: to_milliseconds(shadow.as_of),
        ARRIVAL: _microseconds(shadow.scored_at),
    }
    for side, opinion in (("champion", shadow.champion), ("challenger", shadow.challenger)):
        row |= {f"{side}_{name}": value for name, value in opinion.model_dump().items()}
    return row


def _label(event: Event, _place: Place) -> Row:
    label = Label.model_validate_json(event.data)
    row: Row = label.model_dump(include={"transaction_id", "card_id", "merchant_id", "is_fraud", "source", "pattern"})
    return row | {
        "label_time_ms": label.label_time_ms,
        EVENT_TIME: label.event_time_ms,
    }


_READERS: Final[dict[TableName, Callable[[Event, Place], Row]]] = {
    "transactions": _transaction,
    "shadows": _shadow,
    "labels": _label,
}


def _microseconds(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
