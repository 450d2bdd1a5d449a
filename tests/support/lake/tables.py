"""Lakes of a test's own, and events straight into their tables."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from functions.archiver.rows import Place, to_row
from functions.archiver.sink import Sink
from shared.contracts.cloudevents import Event
from shared.lake.lake import Lake
from shared.lake.schema import TABLES, TableName
from shared.lake.settings import LakeSettings


def own_lake(environment: Mapping[str, str], **changes: object) -> Lake:
    """An empty lake on the S3 server of the environment."""
    settings = {name.lower(): value for name, value in environment.items()} | changes
    return Lake.open(LakeSettings(fraud_lake_uri=f"s3://fraud-lake/test-{uuid.uuid4().hex}", **settings))  # type: ignore[arg-type]


def write(lake: Lake, name: TableName, events: Sequence[tuple[Event, int]]) -> int:
    """Append events, each with its Kafka time in milliseconds, as if they stood on partition 0 behind what is archived.

    Returns:
        The table's version.
    """
    sink = Sink(lake, TABLES[name])
    before = sink.offset(0)
    first = before or 0
    rows = [
        to_row(name, event, Place(0, first + number, time_ms), sink.features)
        for number, (event, time_ms) in enumerate(events)
    ]
    sink.append(rows, {0: before}, {0: first + len(events)})
    return lake.version(name)
