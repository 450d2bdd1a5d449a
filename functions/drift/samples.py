"""The two samples that are compared: the champion's reference, and a window of the lake."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from functions.drift.comparison import Sample
from functions.drift.errors import NoVerdict
from functions.drift.quantities import DECISION, SCORE
from shared.features.definition import DAY_MS
from shared.lake.errors import TableMissing
from shared.lake.lake import Days
from shared.lake.schema import DAY, EVENT_TIME, FEATURE_PREFIX, TableName, feature_column

HOUR_MS: Final = 3_600_000
USUAL_DAYS: Final = 7
MOST_ROWS: Final = 200_000
_FOR_EVER: Final = np.iinfo(np.int64).max
_COLUMNS: Final = (
    EVENT_TIME, "arrival", "card_id", "merchant_id",
    "score", "decision", "model_version", "degraded", "catalogue_version",
)  # fmt: skip
_CONTROL: Final = "control"


class Decisions(Protocol):
    """What is asked of `shared.lake.lake.Lake`."""

    def dataset(self, name: TableName, days: Days | None = None, version: int | None = None) -> Any:
        """Return a table as an Arrow dataset."""


@dataclass(frozen=True)
class Window:
    """The live decisions of a span of event time.

    Attributes:
        start_ms: Its start, UTC milliseconds.
        end_ms: Its end, which is no longer in it.
        sample: What is compared: whole decisions under the newest catalogue in the window; of more than 200,000 an even
            sample.
        rows: All decisions in it.
        degraded: Those made without the card's history; an outage is no drift.
        other_catalogue: Those made under an older catalogue of features.
        usual_rows: Mean number of decisions of the same span over the days before; None when there were none.
        features: Names of the features that the lake has.
    """

    start_ms: int
    end_ms: int
    sample: Sample
    rows: int
    degraded: int
    other_catalogue: int
    usual_rows: float | None
    features: tuple[str, ...]


def read_reference(data: bytes, stream_start_ms: int | None) -> tuple[Sample, tuple[str, ...]]:
    """Read the reference that a training logged beside its model, and the names of its features.

    Args:
        data: Parquet with `event_time_ms`, `f_<feature>`, `score`, `decision` and `weight`.
        stream_start_ms: Since when there was any history, when the rows come from the lake; None when the history was
            simulated and whole from the start.

    Raises:
        NoVerdict: A column is missing.
    """
    table = pq.read_table(io.BytesIO(data))
    missing = {EVENT_TIME, SCORE, DECISION, "weight"} - set(table.column_names)
    if missing:
        raise NoVerdict(f"the champion's reference lacks {', '.join(sorted(missing))}")
    names = tuple(name.removeprefix(FEATURE_PREFIX) for name in table.column_names if name.startswith(FEATURE_PREFIX))
    columns = {name: _numbers(table, feature_column(name)) for name in names}
    columns[SCORE] = _numbers(table, SCORE)
    decision = table.column(DECISION).to_numpy(zero_copy_only=False).astype(str)
    time_ms = table.column(EVENT_TIME).to_numpy()
    age_ms = np.full(len(table), _FOR_EVER) if stream_start_ms is None else time_ms - stream_start_ms
    return (
        Sample(
            {**columns, DECISION: decision},
            np.arange(len(table)),
            np.arange(len(table)),
            *_calendar(time_ms),
            age_ms,
            _numbers(table, "weight"),
        ),
        names,
    )


def stream_start(lake: Decisions) -> int:
    """Return the earliest event time of any decision in the lake, UTC milliseconds.

    Raises:
        NoVerdict: There is no decision.
        LakeAway: The storage does not answer.
    """
    try:
        dataset = lake.dataset("decisions")
    except TableMissing as missing:
        raise NoVerdict(str(missing)) from missing
    days = pc.unique(dataset.to_table(columns=[DAY]).column(DAY)).drop_null()
    if not len(days):
        raise NoVerdict("the lake holds no decision")
    first = dataset.to_table(columns=[EVENT_TIME], filter=pc.field(DAY) == pc.min(days))
    return int(pc.min(first.column(EVENT_TIME)).as_py())


def read_window(
    lake: Decisions, start_ms: int, end_ms: int, *, names: Sequence[str], model_version: str, stream_start_ms: int
) -> Window:
    """Read the decisions of a span of event time.

    Args:
        lake: Where they are.
        start_ms: Start of the span, UTC milliseconds.
        end_ms: Its end, exclusive.
        names: The champion's features.
        model_version: The champion; score and decision of other versions say nothing of it.
        stream_start_ms: Earliest event time in the lake.

    Raises:
        LakeAway: The storage does not answer.
    """
    dataset = lake.dataset("decisions", _days(start_ms, end_ms))
    there = set(dataset.schema.names)
    present = tuple(name for name in names if feature_column(name) in there)
    columns = [*_COLUMNS, *(feature_column(name) for name in present), *({_CONTROL} & there)]
    inside = (pc.field(EVENT_TIME) >= start_ms) & (pc.field(EVENT_TIME) < end_ms)
    rows = dataset.count_rows(filter=inside)
    degraded = dataset.count_rows(filter=inside & pc.field("degraded"))
    whole = _even_sample(dataset, columns, inside & ~pc.field("degraded"), rows - degraded)
    newest = _newest_catalogue(whole)
    kept = whole.filter(pc.equal(whole.column("catalogue_version"), newest)) if newest else whole
    return Window(
        start_ms=start_ms,
        end_ms=end_ms,
        sample=_sample(kept, present, model_version, stream_start_ms),
        rows=rows,
        degraded=degraded,
        other_catalogue=len(whole) - len(kept),
        usual_rows=_usual_rows(lake, start_ms, end_ms, stream_start_ms),
        features=present,
    )


def _even_sample(dataset: Any, columns: Sequence[str], wanted: Any, rows: int) -> pa.Table:
    """Read the wanted rows, or of too many an even sample that is the same each time: effects do not need them all."""
    share = min(1.0, MOST_ROWS / max(rows, 1))
    batches = []
    for batch in dataset.to_batches(columns=columns, filter=wanted):
        if share < 1:
            # Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4) of the moment of the decision.
            mixed = batch.column("arrival").to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            batch = batch.filter(pa.array((mixed >> np.uint64(40)) < share * 2**24))  # noqa: PLW2901 - the kept part
        batches.append(batch)
    schema = pa.schema([dataset.schema.field(name) for name in columns])
    return pa.Table.from_batches(batches, schema=schema)


def _sample(table: pa.Table, names: Sequence[str], model_version: str, stream_start_ms: int) -> Sample:
    champions = table.column("model_version").to_numpy(zero_copy_only=False) == model_version
    decision = table.column(DECISION).to_numpy(zero_copy_only=False).astype(str)
    if _CONTROL in table.column_names:  # a would-be decline that was let through
        control = table.column(_CONTROL).fill_null(False).to_numpy(zero_copy_only=False)
        decision = np.where(control, "decline", decision)
    columns: dict[str, npt.NDArray[Any]] = {name: _numbers(table, feature_column(name)) for name in names}
    columns[SCORE] = np.where(champions, _numbers(table, SCORE), np.nan)
    columns[DECISION] = np.where(champions, decision, "")
    time_ms = table.column(EVENT_TIME).to_numpy()
    cards, merchants = (
        table.column(name).to_numpy(zero_copy_only=False).astype(str) for name in ("card_id", "merchant_id")
    )
    return Sample(columns, cards, merchants, *_calendar(time_ms), time_ms - stream_start_ms, np.ones(len(table)))


def _newest_catalogue(table: pa.Table) -> str | None:
    if not len(table):
        return None
    newest = pc.index(table.column("arrival"), pc.max(table.column("arrival"))).as_py()
    return str(table.column("catalogue_version")[newest].as_py())


def _usual_rows(lake: Decisions, start_ms: int, end_ms: int, stream_start_ms: int) -> float | None:
    """Return the mean over the days before that the stream covers whole, of as many hours a day."""
    span, counts = end_ms - start_ms, []
    for days_before in range(1, USUAL_DAYS + 1):
        first = start_ms - days_before * DAY_MS
        if first < stream_start_ms:
            break
        dataset = lake.dataset("decisions", _days(first, first + span))
        inside = (pc.field(EVENT_TIME) >= first) & (pc.field(EVENT_TIME) < first + span)
        counts.append(dataset.count_rows(filter=inside))
    return float(np.mean(counts)) if counts else None


def _numbers(table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(table.column(column), pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _calendar(time_ms: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    # 1970-01-01 was a Thursday, the fourth day of its week.
    weekday = (time_ms // DAY_MS + 3) % 7
    return time_ms % DAY_MS // HOUR_MS, weekday >= 5


def _days(start_ms: int, end_ms: int) -> tuple[date, date]:
    first, last = (datetime.fromtimestamp(one / 1000, UTC).date() for one in (start_ms, end_ms - 1))
    return first, last + timedelta(days=1)
