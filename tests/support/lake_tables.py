"""A lake in memory: tables by version, as training reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from pyarrow import dataset as ds

from shared.features.catalogue import CATALOGUE
from shared.features.history import HistoryFeatures
from shared.lake.errors import TableMissing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryLake:
    """Answers as `shared.lake.lake.Lake`; a table's versions are all it ever was."""

    def __init__(self, **tables):
        self.tables = {name: [table] for name, table in tables.items()}
        self.reads = []

    def append(self, name, rows):
        """Make a new version with more rows."""
        self.tables[name].append(
            pa.concat_tables([self.tables[name][-1], rows.select(self.tables[name][-1].schema.names)])
        )

    def version(self, name):
        if name not in self.tables:
            raise TableMissing(f"nothing has been archived into {name} yet")
        return len(self.tables[name]) - 1

    def dataset(self, name, days=None, version=None):
        self.reads.append(name)
        return ds.dataset(self.tables[name][-1 if version is None else version])


def archived(history, *, verdict="approve", version=CATALOGUE.version):
    """The lake of a simulated history: every transaction published and decided, every label arrived.

    Args:
        history: Columns of `generate_history`.
        verdict: Decision on all of them.
        version: Of the catalogue that the vectors were logged with.
    """
    count = len(history["event_time_ms"])
    arrival = history["arrival_ms"] * 1000
    names = ("transaction_id", "card_id", "amount_minor", "currency", "merchant_id", "merchant_category", "city")
    names += ("country", "latitude", "longitude", "channel", "event_time_ms")
    content = {name: pa.array(history[name], from_pandas=True) for name in names}
    place = {
        "arrival": pa.array(arrival),
        "kafka_partition": pa.array(np.zeros(count, np.int32)),
        "kafka_offset": pa.array(np.arange(count)),
    }
    transactions = pa.table({**content, **place})
    labels = label_rows(history)
    vectors = HistoryFeatures(CATALOGUE, threads=1).table(transactions, labels)
    decisions = pa.table(
        {
            **content,
            **place,
            "decision": pa.array([verdict] * count),
            "degraded": pa.array([False] * count),
            "feature_status": pa.array(["new"] * count),
            "catalogue_version": pa.array([version] * count),
            **{f"f_{name}": vectors.column(name) for name in CATALOGUE.names},
        }
    )
    return MemoryLake(transactions=transactions, decisions=decisions, labels=labels)


def label_rows(history):
    """Rows of the labels' table."""
    labelled = np.flatnonzero(history["label_time_ms"] >= 0)
    names = ("transaction_id", "card_id", "merchant_id", "event_time_ms", "is_fraud", "label_time_ms", "pattern")
    return pa.table(
        {
            **{name: pa.array(history[name][labelled]) for name in names},
            "arrival": pa.array(history["label_time_ms"][labelled] * 1000),
            "kafka_partition": pa.array(np.zeros(len(labelled), np.int32)),
            "kafka_offset": pa.array(np.arange(len(labelled))),
        }
    )


def moment(milliseconds):
    """An aware datetime."""
    return EPOCH + timedelta(milliseconds=milliseconds)
