"""The check of parity after a drain, now and then, in a process of its own that it cannot take the run down with."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from functions.archiver import metrics
from functions.archiver.settings import ArchiverSettings
from shared.parity.evidence import FUNCTION
from shared.runs.record import Trigger
from shared.runs.recorder import Recorder
from shared.runs.store import RunStore

_log = logging.getLogger(__name__)

_MODULE: Final = "functions.archiver.parity_job"
_TIMEOUT: Final = timedelta(minutes=8)
_FIRST_STRETCH: Final = timedelta(hours=1)
# What another replica decided has to be archived before a history is complete.
_SETTLED_AFTER: Final = timedelta(minutes=3)


class CheckFailed(RuntimeError):
    """The process of a check ended without a result."""


class Parity:
    """Checks the decisions since the last check, when it is time.

    Args:
        settings: Share, rhythm and bound.
        store: Where runs are kept; the last one says how far the check has come.
    """

    def __init__(self, settings: ArchiverSettings, store: RunStore) -> None:
        self._settings = settings
        self._store = store
        self._every = timedelta(minutes=settings.fraud_parity_every_minutes)
        self._recorder = Recorder(store, FUNCTION, longest=2 * _TIMEOUT)
        self._until: datetime | None = None

    def run_if_due(self, now: datetime, archiver_run: str) -> None:
        """Check if it is time; a check that fails is recorded and tried again next time.

        Raises:
            LakeAway: The storage does not answer.
        """
        until = now - _SETTLED_AFTER
        if self._until is None:
            self._until = self._last() or until - max(self._every, _FIRST_STRETCH)
        if self._settings.fraud_parity_share == 0 or until - self._until < self._every:
            return
        try:
            self._check(self._until, until, archiver_run)
        except (CheckFailed, subprocess.TimeoutExpired) as error:
            _log.error("parity was not checked: %s", error)
        else:
            self._until = until

    def _last(self) -> datetime | None:
        for run in self._store.latest(FUNCTION):
            if run.outcome in ("done", "refused"):
                return datetime.fromisoformat(run.inputs["until"])
        return None

    def _check(self, since: datetime, until: datetime, archiver_run: str) -> None:
        with self._recorder.record(Trigger(kind="event", id=archiver_run)) as run:
            run.inputs |= {
                "since": since.isoformat(),
                "until": until.isoformat(),
                "share": self._settings.fraud_parity_share,
                "most": self._settings.fraud_parity_decisions,
            }
            report = self._in_process(run.inputs)
            run.outputs |= report
            if report["decisions_wrong"]:
                run.refuse(
                    f"{report['decisions_wrong']} of {report['checked']} decisions differ from the raw events in "
                    + ", ".join(report["mismatches"])
                )
        metrics.PARITY_CHECKED.inc(report["checked"])
        metrics.PARITY_UNDECIDABLE.inc(report["undecidable"])
        for feature, count in report["mismatches"].items():
            metrics.PARITY_MISMATCH.labels(feature).inc(count)
        if report["decisions_wrong"]:
            _log.error("features differ from the raw events: %s", report["wrong"])

    def _in_process(self, asked: dict[str, Any]) -> dict[str, Any]:
        command = [sys.executable, "-m", _MODULE, orjson.dumps(asked).decode()]
        ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=_TIMEOUT.total_seconds(), check=False)  # noqa: S603
        if ended.returncode:
            raise CheckFailed(f"the check ended with status {ended.returncode}, see the log")
        result: dict[str, Any] = orjson.loads(ended.stdout)
        return result
