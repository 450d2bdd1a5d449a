"""One run of a function's work as a process of its own.

The function stays small and answers its probes while the work runs, and the memory goes back when it is done. The
process ends with its parent: it reads standard input, which the parent holds open, to its end. The outcome is one JSON
document on standard output; everything else is written to standard error.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, Field

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.aws_events import require_schedule
from shared.hosts.outcome import ServiceAway
from shared.runs.record import Trigger
from shared.telemetry import logs, tracing

TRACEPARENT: Final = "TRACEPARENT"
_NICENESS: Final = 10
"""Decisions made on the same machine come first."""


class JobRequest(BaseModel):
    """What a process is to do.

    Attributes:
        trigger: What started it; its request is the function's own.
    """

    trigger: Trigger

    @property
    def asked(self) -> dict[str, Any]:
        """The data of the event that started it; empty when it has none."""
        return self.trigger.request or {}


class JobOutcome(BaseModel):
    """What the process says at its end.

    Attributes:
        kind: Done, refused (asking again changes nothing) or missing (a service is away; it comes again).
        reason: Why it is not done.
        result: What came of it; a JSON object.
    """

    kind: Literal["done", "refused", "missing"]
    reason: str = ""
    result: dict[str, Any] = Field(default_factory=dict)


Work = Callable[[JobRequest], JobOutcome]
RunJob = Callable[[JobRequest], Awaitable[JobOutcome]]


def in_process(module: str) -> RunJob:
    """Return what runs ``python -m MODULE REQUEST``, one process per run, killed when its caller is cancelled.

    The caller gets RuntimeError when a process ends without an outcome.
    """

    async def run(request: JobRequest) -> JobOutcome:
        trace = tracing.current()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            request.model_dump_json(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **({TRACEPARENT: trace.traceparent} if trace else {})},
        )
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for above
            output = await process.stdout.read()
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if status != 0:
            raise RuntimeError(f"{module} ended with status {status}")
        return JobOutcome.model_validate_json(output)

    return run


def serve(service: str, work: Work, environment: Mapping[str, str]) -> None:
    """Do the work that the command line asks for; the entry point of the process.

    Args:
        service: Name in the logs.
        work: Does it.
        environment: Set before anything else: for libraries that the work imports as late as it can.
    """
    outcome_stream = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print progress there
    os.environ.update(environment)
    logs.configure(service)
    tracing.set_current(tracing.continue_trace(os.environ.get(TRACEPARENT)))
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    outcome = work(JobRequest.model_validate_json(sys.argv[1]))
    outcome_stream.write(outcome.model_dump_json())
    outcome_stream.close()


def _end_with_parent() -> None:
    # Not by sys.stdin: its lock, held by a waiting daemon thread, aborts the interpreter's own end.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


class ScheduledJob:
    """A function that does one run per tick of its schedule, one at a time.

    Args:
        run_job: Does one run.
        check: Raises a validation error for a request that can never be met.
        conclude: Told of every outcome, for metrics.
    """

    def __init__(
        self, run_job: RunJob, check: Callable[[dict[str, Any]], object], conclude: Callable[[JobOutcome], None]
    ) -> None:
        self._run_job = run_job
        self._check = check
        self._conclude = conclude
        self._running = asyncio.Lock()

    async def handle(self, event: Event) -> None:
        """Run because of an event: a schedule's tick, or the command line's.

        Raises:
            PoisonEvent: The event starts no run, or the run was refused.
            pydantic.ValidationError: What is asked for is wrong.
            ServiceAway: A run is under way, or a backing service is away.
        """
        if event.type != cloudevents.PING:
            raise PoisonEvent(f"expected an event of type {cloudevents.PING}")
        try:
            trigger = Trigger.of(event)
        except orjson.JSONDecodeError:
            raise PoisonEvent("the event's data is not JSON") from None
        outcome = await self.run(trigger)
        if outcome.kind == "refused":
            raise PoisonEvent(outcome.reason)
        if outcome.kind == "missing":
            raise ServiceAway(outcome.reason)

    async def run(self, trigger: Trigger) -> JobOutcome:
        """Do one run.

        Raises:
            pydantic.ValidationError: What is asked for is wrong.
            ServiceAway: A run is under way.
        """
        request = JobRequest(trigger=trigger)
        self._check(request.asked)
        if self._running.locked():
            raise ServiceAway("a run is under way already")
        async with self._running:
            outcome = await self._run_job(request)
        self._conclude(outcome)
        return outcome

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Do one run for AWS Lambda's schedule and return what came of it.

        Raises:
            ForeignEvent: It is another trigger's.
            pydantic.ValidationError: What is asked for is wrong.
            PoisonEvent: The run was refused.
            ServiceAway: A backing service is away; Lambda invokes again.
        """
        require_schedule(event)
        outcome = asyncio.run(self.run(Trigger(kind="schedule", request=event)))
        if outcome.kind == "refused":
            raise PoisonEvent(outcome.reason)
        if outcome.kind == "missing":
            raise ServiceAway(outcome.reason)
        return outcome.result
