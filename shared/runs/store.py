"""Where runs are kept: one small object each, under the lake.

Keys are ``FUNCTION/DAY/RUN_ID.TRIGGER.OUTCOME``, so that a listing tells what there is without reading it: the runs of
a day of one function are one request for every thousand. A run is written when it starts (outcome ``running``) and
again when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from shared.lake.objects import Objects
from shared.runs.record import Outcome, RunRecord, TriggerKind, started_of

FOLDER: Final = "_runs"


@dataclass(frozen=True, slots=True)
class _Key:
    text: str
    run_id: str
    trigger: str
    outcome: str


class RunStore:
    """Runs of all functions.

    Every method raises `LakeAway` when the storage is away.

    Args:
        objects: Objects of the lake under `FOLDER`.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def start(self, record: RunRecord) -> None:
        """Write a run that has started."""
        self._objects.put(_key(record), record.model_dump_json().encode())

    def finish(self, record: RunRecord) -> None:
        """Write the outcome of a run."""
        self._objects.put(_key(record), record.model_dump_json().encode())
        # A reader between the two, or after a kill, sees both and takes the outcome.
        self._objects.delete(_key(record, "running"))

    def functions(self) -> list[str]:
        """Functions that have ever run."""
        return self._objects.folders("")

    def latest(self, function: str, *, failed: bool = False, now: datetime | None = None) -> Iterator[RunRecord]:
        """Runs of a function, newest first, read one by one as the caller goes on.

        Args:
            function: Name of the function.
            failed: Only those that failed or died.
            now: The moment by which a silent run counts as died.
        """
        now = now or datetime.now(UTC)
        for day in reversed(self._objects.folders(f"{function}/")):
            for key in reversed(self._keys(function, day)):
                if failed and key.outcome not in ("failed", "running"):
                    continue
                record = self._read(key)
                if record is not None and (not failed or record.state(now) in ("failed", "died")):
                    yield record

    def find(self, run_id: str) -> RunRecord | None:
        """The run of that id."""
        try:
            day = started_of(run_id).date()
        except ValueError:
            return None
        for function in self.functions():
            for key in self._keys(function, day.isoformat()):
                if key.run_id == run_id:
                    return self._read(key)
        return None

    def since(self, function: str, moment: datetime) -> Iterator[RunRecord]:
        """Runs of a function that started at or after a moment, oldest first."""
        first = moment.astimezone(UTC)
        for day in self._objects.folders(f"{function}/"):
            if day >= first.date().isoformat():
                for key in self._keys(function, day):
                    if started_of(key.run_id) >= first:
                        record = self._read(key)
                        if record is not None:
                            yield record

    def last_start(self, function: str, trigger: TriggerKind, now: datetime, near: timedelta) -> datetime | None:
        """When the last run of that trigger started; None when there was none.

        Args:
            function: Name of the function.
            trigger: Kind of trigger.
            now: Only runs before it count.
            near: How far back the run is expected: to there one small listing finds it.
        """
        today = now.astimezone(UTC).date()
        recent = _oldest(now - near)
        if _day(recent) == today.isoformat():
            for key in reversed(self._keys(function, today.isoformat(), after=f"{function}/{_day(recent)}/{recent}")):
                if key.trigger == trigger:
                    return started_of(key.run_id)
        for day in reversed(self._objects.folders(f"{function}/")):
            for key in reversed(self._keys(function, day)):
                if key.trigger == trigger:
                    return started_of(key.run_id)
        return None

    def prune(self, function: str, before: date) -> int:
        """Remove a function's runs of the days before one; returns how many."""
        removed = 0
        for day in self._objects.folders(f"{function}/"):
            if day < before.isoformat():
                for key in self._objects.keys(f"{function}/{day}/"):
                    self._objects.delete(key)
                    removed += 1
        return removed

    def _keys(self, function: str, day: str, after: str = "") -> list[_Key]:
        """Keys of a function's day, sorted, of a run that has ended only the one with its outcome."""
        found: dict[str, _Key] = {}
        for text in self._objects.keys(f"{function}/{day}/", after):
            run_id, trigger, outcome = text.rpartition("/")[2].split(".")[:3]
            if run_id not in found or outcome != "running":
                found[run_id] = _Key(text, run_id, trigger, outcome)
        return list(found.values())

    def _read(self, key: _Key) -> RunRecord | None:
        stored = self._objects.get(key.text)
        if stored is None and key.outcome == "running":  # it has ended since the listing
            base = key.text.removesuffix(".running.json")
            ended = [text for text in self._objects.keys(base) if text != key.text]
            stored = self._objects.get(ended[0]) if ended else None
        return None if stored is None else RunRecord.model_validate_json(stored.body)


def _key(record: RunRecord, outcome: Outcome | None = None) -> str:
    day = _day(record.run_id)
    return f"{record.function}/{day}/{record.run_id}.{record.trigger.kind}.{outcome or record.outcome}.json"


def _day(run_id: str) -> str:
    return f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}"


def _oldest(moment: datetime) -> str:
    """What the ids of runs from that second on sort behind or equal."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S}"
