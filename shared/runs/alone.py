"""One run of a scheduled function: written down, and alone across all replicas.

Importing this module imports boto3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.hosts.job import JobOutcome
from shared.lake.errors import LakeAway
from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.runs import lease, store
from shared.runs.record import Trigger
from shared.runs.recorder import Recorder, Run

_POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Alone:
    """What the work of a run gets.

    Attributes:
        run: Its record; the work fills in the inputs.
        lease: Its right to work; asked again before something is made visible that two must not make.
        store: The runs of all functions.
    """

    run: Run
    lease: lease.Held
    store: store.RunStore


@dataclass(frozen=True, slots=True)
class Errors:
    """What the work may raise, by what it means.

    Attributes:
        refused: Asking again changes nothing.
        away: A service is away, or something moved meanwhile; it comes again.
    """

    refused: tuple[type[Exception], ...] = ()
    away: tuple[type[Exception], ...] = ()


class RunsAlone:
    """Does the runs of one function.

    Args:
        settings: Where the lake is, which holds records and leases.
        function: Name of the function's service, such as "train".
        every: Interval of its schedule.
        errors: What its work may raise.
        longest: A run that takes longer has died.
        lease_seconds: A killed run keeps others away for so long.
    """

    def __init__(
        self,
        settings: LakeSettings,
        function: str,
        *,
        every: timedelta,
        errors: Errors,
        longest: timedelta = timedelta(hours=1),
        lease_seconds: float = 60.0,
    ) -> None:
        self._store = store.RunStore(Objects(settings, store.FOLDER))
        self._leases = lease.Leases(Objects(settings, lease.FOLDER))
        self._recorder = Recorder(self._store, function, every=every, longest=longest)
        self._function = function
        self._refused = errors.refused
        self._away: tuple[type[Exception], ...] = (lease.LeaseTaken, lease.LeaseLost, LakeAway, *errors.away)
        self._lease_seconds = lease_seconds

    def do(self, trigger: Trigger, work: Callable[[Alone], dict[str, Any]]) -> JobOutcome:
        """Do one run.

        Args:
            trigger: What started it.
            work: Returns what was made; it goes into the record and, with the run's id, into the result.
        """
        try:
            with self._recorder.record(trigger) as run, self._leases.hold(self._function, self._lease_seconds) as held:
                try:
                    made = work(Alone(run, held, self._store))
                except self._refused as refusal:
                    run.refuse(str(refusal))
                    return JobOutcome(kind="refused", reason=str(refusal), result={"run_id": run.run_id})
                run.outputs.update(made)
                return JobOutcome(kind="done", result={"run_id": run.run_id, **made})
        except self._away as error:
            return JobOutcome(kind="missing", reason=str(error))

    def wait_for_lake(self, seconds: float) -> None:
        """Wait until the lake answers, but no longer than so: `do` then says that it is away."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._store.functions()
            except LakeAway:
                if time.monotonic() >= deadline:
                    return
                time.sleep(_POLL_SECONDS)
            else:
                return
