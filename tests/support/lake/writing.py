"""Writes rows into a lake as the archiver would leave them, without Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from shared.features.catalogue import CATALOGUE
from shared.lake.schema import DAY, TABLES, TableName, event_key, feature_fields
from shared.lake.settings import LakeSettings

DEFAULTS: dict[str, Any] = {
    "decision": "approve",
    "score": 0.01,
    "model_version": "1",
    "policy_version": "p",
    "degraded": False,
    "feature_status": "new",
    "catalogue_version": CATALOGUE.version,
    "amount_minor": 1000,
    "currency": "EUR",
    "merchant_id": "m",
    "kafka_partition": 0,
    "reasons": None,
    "agree": True,
    "source": "chargeback",
    "is_fraud": True,
}


def write(settings: LakeSettings, name: TableName, columns: Mapping[str, Any]) -> None:
    """Append rows: `event_time_ms`, `transaction_id`, `card_id` and what differs from the defaults; [n] each."""
    table = TABLES[name]
    schema = table.schema
    if name == "decisions":
        schema = pa.schema([*schema, *feature_fields()])
    times = np.asarray(columns["event_time_ms"])
    count = len(times)
    ids = columns["transaction_id"]
    made: dict[str, Any] = {
        "arrival": times * 1000,
        "kafka_offset": np.arange(count),
        "kafka_time_ms": times,
        "as_of_ms": times,
        "decided_at_ms": times,
        "scored_at_ms": times,
        "decision_id": [f"d-{one}" for one in ids],
        "event_key": [event_key([name, one]) for one in ids],
        DAY: [datetime.fromtimestamp(one / 1000, UTC).date() for one in times.tolist()],
        **columns,
    }
    arrays = []
    for field in schema:
        values = made.get(field.name, DEFAULTS.get(field.name))
        if values is None or np.isscalar(values):
            arrays.append(pa.array([values] * count, field.type))
        elif isinstance(values, np.ndarray) and values.dtype.kind == "f":
            arrays.append(pa.array(values, from_pandas=True).cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    rows = pa.Table.from_arrays(arrays, schema=schema)
    write_deltalake(
        f"{settings.root}/{name}", rows, mode="append", partition_by=[DAY], storage_options=settings.storage_options()
    )
