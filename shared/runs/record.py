"""What is kept of one run."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.cloudevents import PING, Event

TriggerKind = Literal["schedule", "event", "manual"]
Outcome = Literal["running", "done", "refused", "failed", "skipped"]
State = Literal["running", "done", "refused", "failed", "skipped", "died"]
"""An outcome, or what became of a run that never said one."""

COMMAND_LINE: Final = "/fraud/cli"
"""Source of the events that the `fraud` command sends."""
_NO_DATA: Final = (b"", b"null")


class Trigger(BaseModel):
    """What a run was started by.

    Attributes:
        kind: A schedule's tick, another event, or a person.
        id: Id of the event.
        request: The event's data, which a rerun sends again.
        rerun_of: The run that this one repeats.
    """

    model_config = ConfigDict(frozen=True)

    kind: TriggerKind
    id: str | None = None
    request: Any = None
    rerun_of: str | None = None

    @classmethod
    def of(cls, event: Event) -> Trigger:
        """The trigger that a delivered event is. Its data has been found to be JSON."""
        by_hand = event.source == COMMAND_LINE
        kind: TriggerKind = "manual" if by_hand else "schedule" if event.type == PING else "event"
        request = None if event.data in _NO_DATA else orjson.loads(event.data)
        return cls(kind=kind, id=event.id, request=request, rerun_of=event.subject if by_hand else None)


class RunRecord(BaseModel):
    """One run of a function.

    Attributes:
        run_id: Unique; sorts by start within a function.
        function: Name of the function's service, such as "archiver".
        trigger: What started it.
        started: When.
        deadline: A run that has not said its outcome by then has died.
        finished: When it said its outcome.
        outcome: "done", "refused" (by its own judgement, with `reason`), "failed" (by an error, with `reason`),
            "skipped" (nothing to do, or another run was at it, with `reason`); "running" until one of them is known.
        reason: Why it is not done.
        inputs: What it read: table versions, cut, model versions.
        outputs: What it made.
        missed: Runs of its schedule that should have been between the last one and this one.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    function: str
    trigger: Trigger
    started: AwareDatetime
    deadline: AwareDatetime
    finished: AwareDatetime | None = None
    outcome: Outcome = "running"
    reason: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    missed: int = 0

    @property
    def seconds(self) -> float | None:
        """How long it took; None while that is not known."""
        return None if self.finished is None else (self.finished - self.started).total_seconds()

    def state(self, now: datetime) -> State:
        """The outcome, seen at a moment."""
        return "died" if self.outcome == "running" and now > self.deadline else self.outcome


def new_run_id(started: datetime) -> str:
    """An id that sorts by its start: milliseconds UTC, then 24 random bits."""
    utc = started.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}{utc.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"


def started_of(run_id: str) -> datetime:
    """The start that an id names.

    Raises:
        ValueError: It is no id of a run.
    """
    moment = datetime.strptime(run_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return moment + timedelta(milliseconds=int(run_id[15:18]))
