"""Writes down what a function does, run by run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.lake.errors import LakeAway
from shared.runs.lease import LeaseTaken
from shared.runs.metrics import LAST, MISSED, RUNS
from shared.runs.record import Outcome, RunRecord, Trigger, new_run_id
from shared.runs.store import RunStore

_log = logging.getLogger(__name__)

_LATE: Final = 1.5
"""A tick is missed when the last one is more than so many intervals ago: ticks come a little early and late."""


class Run:
    """A run under way.

    Attributes:
        run_id: Its id.
        inputs: Filled by the caller: table versions, cut, model versions; anything that JSON can hold.
        outputs: Filled by the caller: what was made.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self._outcome: Outcome = "done"
        self._reason = ""

    def refuse(self, reason: str) -> None:
        """Say that the run came to a no by its own judgement; the block goes on to its end."""
        self._outcome, self._reason = "refused", reason

    def skip(self, reason: str) -> None:
        """Say that there was nothing to do."""
        self._outcome, self._reason = "skipped", reason

    @property
    def verdict(self) -> tuple[Outcome, str]:
        """Outcome and reason so far."""
        return self._outcome, self._reason


class Recorder:
    """Records the runs of one function. It writes to the lake and waits for it: call it from a thread.

    Example:
        with recorder.record(Trigger.of(event)) as run:
            run.inputs["decisions"] = lake.version("decisions")
            run.outputs["model"] = train()

    Args:
        store: Where runs are kept.
        function: Name of the function's service, such as "train".
        every: Interval of its schedule; a scheduled run that comes later than that says how many were missed.
        longest: A run that takes longer has died.
        clock: Returns the current time, with zone.
    """

    def __init__(
        self,
        store: RunStore,
        function: str,
        *,
        every: timedelta | None = None,
        longest: timedelta = timedelta(hours=1),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._function = function
        self._every = every
        self._longest = longest
        self._clock = clock

    @contextmanager
    def record(self, trigger: Trigger) -> Iterator[Run]:
        """Record the block as a run.

        An error that leaves the block makes it failed, except `LeaseTaken`, which makes it skipped; both go on.

        Raises:
            LakeAway: The start cannot be written; the block does not run.
        """
        started = self._clock()
        record = RunRecord(
            run_id=new_run_id(started),
            function=self._function,
            trigger=trigger,
            started=started,
            deadline=started + self._longest,
            missed=self._missed(trigger, started),
        )
        self._store.start(record)
        run = Run(record.run_id)
        try:
            yield run
        except LeaseTaken as taken:
            run.skip(str(taken))
            self._finish(record, run, *run.verdict)
            raise
        except BaseException as error:
            self._finish(record, run, "failed", f"{type(error).__name__}: {error}")
            raise
        self._finish(record, run, *run.verdict)

    def _missed(self, trigger: Trigger, started: datetime) -> int:
        if trigger.kind != "schedule" or self._every is None:
            return 0
        last = self._store.last_start(self._function, "schedule", started, near=3 * self._every)
        if last is None or started - last <= _LATE * self._every:
            return 0
        missed = round((started - last) / self._every) - 1
        MISSED.labels(self._function).inc(missed)
        _log.warning("%d scheduled run(s) did not happen since %s", missed, last.isoformat())
        return missed

    def _finish(self, record: RunRecord, run: Run, outcome: Outcome, reason: str) -> None:
        finished = self._clock()
        ended = record.model_copy(
            update={
                "finished": finished,
                "outcome": outcome,
                "reason": reason,
                "inputs": run.inputs,
                "outputs": run.outputs,
            }
        )
        RUNS.labels(self._function, outcome).inc()
        LAST.labels(self._function, outcome).set(finished.timestamp())
        level = logging.ERROR if outcome == "failed" else logging.INFO
        detail = {"run_id": record.run_id, "outcome": outcome, "seconds": ended.seconds, "reason": reason}
        _log.log(level, "run ended", extra=detail | {"outputs": run.outputs})
        try:
            self._store.finish(ended)
        except LakeAway as away:
            _log.error("the end of run %s is not recorded: %s", record.run_id, away)
