"""Recomputes a share of the decisions from the raw events and compares the vectors.

Differences that are legitimate, and how they are told from faults:

* An event arrived after the decision, however old its event time: only what had arrived is in the recomputed history.
  Where the lake cannot tell on which side of the decision an event arrived (see `known`), both are tried, and a vector
  that any possible history gives is right. With more than `MOST_UNCERTAIN` such events and no match the decision counts
  as undecidable.
* A degraded decision has no vector of the card's history; it is not checked.
* A vector that is marked as cut tells less than the history holds: the card has more transactions than its store keeps.
  How far back the store knew is not logged, so none of its features is checked.
* A transaction that came too late for its card's memory is answered from itself alone; so does the history engine.
* A repeated transaction is answered with all that is known by then; so is its recomputation.
* A label that became known, or a merchant's state that changed, after the decision: features of merchants are not
  recomputed.
* The history before the lake's first record is unknown: decisions whose windows reach there are not checked.
* A decision of another catalogue than this program's is not checked.

An event that had stood on its topic for longer than `known.UPDATER_LAG_US` and is not in the vector is a mismatch: the
updater is that far behind, and features lack what they should hold.

Not told apart: a scorer that was killed after the store's step and before its journal, when nobody asks again. Then the
store alone knows the transaction.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset as ds

from shared.features.catalogue import CATALOGUE, Catalogue, Entity
from shared.features.definition import RETENTION_MS
from shared.features.history import HistoryFeatures
from shared.lake.lake import Lake
from shared.lake.schema import ARRIVAL, EVENT_TIME, KEY, TableName, feature_column
from shared.parity.alternatives import Decided, best, others_than_best
from shared.parity.known import CONTENT, UNREAD, Arrival, Content, arrivals, content_of

_SHOWN: Final = 20
_CUT: Final = "features_cut"
_MEMORY_LIMIT: Final = "512MB"
_NUMBERS: Final = {
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    EVENT_TIME: pa.int64(),
    "amount_minor": pa.int64(),
    ARRIVAL: pa.int64(),
}
_REACH: Final = timedelta(milliseconds=RETENTION_MS) + timedelta(days=1)


@dataclass(slots=True)
class Report:
    """What came of a check.

    Attributes:
        checked: Decisions recomputed.
        mismatches: Decisions that no possible history explains, by feature that differs from the most likely one.
        wrong: The first of these decisions, each with its features, what was logged and what was expected.
        decisions_wrong: How many they are.
        undecidable: Decisions that differ, with too many possible histories to try.
        left_out: Sampled decisions that were not recomputed, by reason.
    """

    checked: int = 0
    decisions_wrong: int = 0
    undecidable: int = 0
    mismatches: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)


class ParityCheck:
    """The check of one stretch of time.

    Args:
        lake: The raw events.
        share: Share of the decisions to check, by their keys: the same decisions whenever it is done.
        most: Most decisions to check; of more, those of a smaller share.
        complete_since: Event time from which on the lake has everything, if it has not from the beginning.
        catalogue: The features.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        share: float,
        most: int,
        complete_since: datetime | None = None,
        catalogue: Catalogue = CATALOGUE,
    ) -> None:
        self._lake = lake
        self._share = share
        self._most = most
        self._complete_since = complete_since
        self._catalogue = catalogue
        of_cards = Catalogue(tuple(one for one in catalogue if one.entity is not Entity.MERCHANT), catalogue.settings)
        self._features = of_cards.names
        self._engine = HistoryFeatures(of_cards, threads=1, memory_limit=_MEMORY_LIMIT)

    def run(self, since: datetime, until: datetime) -> Report:
        """Check decisions made from one moment on and before another.

        Raises:
            TableMissing: No decision has been archived yet.
            LakeAway: The storage does not answer.
        """
        report = Report()
        decisions = self._sample(since, until, report)
        if not decisions:
            return report
        known = self._known(decisions, until)
        pending: list[tuple[Decided, dict[str, tuple[Any, Any]]]] = []
        answers = self._recompute([best(one, known[one.card_id]) for one in decisions])
        for decided, answer in zip(decisions, answers, strict=True):
            report.checked += 1
            differing = self._differences(decided, answer)
            if differing:
                pending.append((decided, differing))
        for decided, differing in pending:
            self._try_others(decided, known[decided.card_id], differing, report)
        return report

    def _try_others(
        self, decided: Decided, known: Sequence[Arrival], differing: dict[str, tuple[Any, Any]], report: Report
    ) -> None:
        histories, all_of_them = others_than_best(decided, known)
        if any(not self._differences(decided, answer) for answer in self._recompute(list(histories))):
            return
        if not all_of_them:
            report.undecidable += 1
            return
        report.decisions_wrong += 1
        report.mismatches.update(differing.keys())
        if len(report.wrong) < _SHOWN:
            found = {name: {"logged": logged, "expected": expected} for name, (logged, expected) in differing.items()}
            report.wrong.append({"decision_id": decided.decision_id, "features": found})

    def _sample(self, since: datetime, until: datetime, report: Report) -> list[Decided]:
        first, last = _microseconds(since), _microseconds(until)
        # A share of a digest's values is a share of the decisions.
        bound = min(2**64, round(self._share * 2**64))
        names = [*CONTENT, "decision_id", "feature_status", "catalogue_version", "kafka_offset", ARRIVAL, KEY]
        found: list[tuple[int, dict[str, Any]]] = []
        source = self._lake.dataset("decisions")
        there = set(source.schema.names)
        features = [column for column in (_CUT, *map(feature_column, self._features)) if column in there]
        wanted = (pc.field(ARRIVAL) >= first) & (pc.field(ARRIVAL) < last)
        for batch in self._scan(source, [*names, *features], wanted):
            keys = batch.column(KEY).to_pylist()
            chosen = [row for row, key in enumerate(keys) if int.from_bytes(key[:8]) < bound]
            rows = batch.take(pa.array(chosen, pa.int64())).to_pylist()
            found += [(int.from_bytes(row[KEY][:8]), row) for row in rows]
            if len(found) > 2 * self._most:
                found = sorted(found, key=lambda one: one[0])[: self._most]
        found = sorted(found, key=lambda one: one[0])[: self._most]
        return [decided for _, row in found if (decided := self._decided(row, report)) is not None]

    def _decided(self, row: Mapping[str, Any], report: Report) -> Decided | None:
        if row["feature_status"] == UNREAD:
            report.left_out["degraded"] += 1
        elif row.get(_CUT):
            report.left_out["cut"] += 1
        elif row["catalogue_version"] != self._catalogue.version:
            report.left_out["another catalogue"] += 1
        elif self._reaches_too_far(row[EVENT_TIME]):
            report.left_out["history begins later"] += 1
        else:
            vector = {name: row.get(feature_column(name)) for name in self._features}
            moment = (row[ARRIVAL], row["kafka_offset"])
            return Decided(row["decision_id"], content_of(row), row["feature_status"], moment, vector)
        return None

    def _reaches_too_far(self, event_time_ms: int) -> bool:
        if self._complete_since is None:
            return False
        return event_time_ms * 1000 < _microseconds(self._complete_since + _REACH)

    def _known(self, decisions: Sequence[Decided], until: datetime) -> Mapping[str, list[Arrival]]:
        """Everything that the cards' stores may have known, by card."""
        cards = pa.array({one.card_id for one in decisions}, pa.string())
        oldest = min(one.content[CONTENT.index(EVENT_TIME)] for one in decisions)
        # Events after the transaction's own time matter too: they age the card's memory.
        first = datetime.fromtimestamp(oldest / 1000, UTC) - _REACH
        days = (first.date(), (until + timedelta(days=2)).date())
        wanted = pc.field("card_id").isin(cards)
        base = [*CONTENT, ARRIVAL, "kafka_offset"]

        def rows(name: TableName, columns: list[str]) -> Iterator[dict[str, Any]]:
            for batch in self._scan(self._lake.dataset(name, days), columns, wanted):
                yield from batch.to_pylist()

        return arrivals(rows("transactions", base), rows("decisions", [*base, "feature_status"]))

    @staticmethod
    def _scan(source: ds.Dataset, columns: list[str], wanted: pc.Expression) -> Iterator[pa.RecordBatch]:
        scanner = source.scanner(columns=columns, filter=wanted, batch_readahead=2, fragment_readahead=1)
        yield from scanner.to_batches()

    def _recompute(self, histories: Sequence[Sequence[Content]]) -> list[dict[str, Any]]:
        """The vector that each history gives its last transaction; all in one go, each as a card of its own."""
        columns: dict[str, list[Any]] = {name: [] for name in (*CONTENT, ARRIVAL)}
        lasts = []
        for number, history in enumerate(histories):
            for place, content in enumerate(history):
                for name, value in zip(CONTENT, content, strict=True):
                    columns[name].append(value)
                columns["card_id"][-1] = str(number)
                columns[ARRIVAL].append(place)
            lasts.append(len(columns[ARRIVAL]) - 1)
        source = pa.table({name: pa.array(values, _NUMBERS.get(name, pa.string())) for name, values in columns.items()})
        answers: list[dict[str, Any]] = self._engine.table(source).take(pa.array(lasts, pa.int64())).to_pylist()
        return answers

    def _differences(self, decided: Decided, answer: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        return {
            name: (decided.vector[name], answer[name])
            for name in self._features
            if not _equal(decided.vector[name], answer[name])
        }


def _equal(logged: Any, expected: Any) -> bool:
    """Integers and nulls exactly, floats within one unit in the last place."""
    if logged is None or expected is None:
        return logged is expected
    if isinstance(logged, float) and isinstance(expected, float):
        return math.nextafter(logged, -math.inf) <= expected <= math.nextafter(logged, math.inf)
    return bool(logged == expected)


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
