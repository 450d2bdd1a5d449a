"""One run of a function's work as a process of its own.

The function stays small and answers its probes while the work runs, and the memory goes back when it is done. The
process ends with its parent: it reads standard input, which the parent holds open, to its end. The outcome is one JSON
document on standard output; everything else is written to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, Field

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.aws_events import require_schedule
from shared.hosts.outcome import ServiceAway
from shared.runs import metrics
from shared.runs.record import Trigger
from shared.telemetry import logs, tracing
from shared.telemetry.carried import Sample

_log = logging.getLogger(__name__)

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
    def asked(self) -> Any:
        """The data of the event that started it; an empty object when it has none."""
        return {} if self.trigger.request is None else self.trigger.request


class JobOutcome(BaseModel):
    """What the process says at its end.

    Attributes:
        kind: Done, refused (asking again changes nothing) or missing (a service is away, or another run is under way;
            it comes again).
        reason: Why it is not done.
        result: What came of it; a JSON object.
        samples: What the process counted of its run.
    """

    kind: Literal["done", "refused", "missing"]
    reason: str = ""
    result: dict[str, Any] = Field(default_factory=dict)
    samples: list[Sample] = Field(default_factory=list)


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
    outcome.samples = metrics.CARRIED.samples()
    outcome_stream.write(outcome.model_dump_json())
    outcome_stream.close()
    logging.shutdown()
    # Arrow's threads may call into the interpreter while it is taken down, which aborts the process.
    os._exit(0)


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
        starts: Types of the events that start a run.
    """

    def __init__(
        self,
        run_job: RunJob,
        check: Callable[[Any], object],
        conclude: Callable[[JobOutcome], None],
        starts: Sequence[str] = (cloudevents.PING,),
    ) -> None:
        self._run_job = run_job
        self._check = check
        self._conclude = conclude
        self._starts = starts
        self._running = asyncio.Lock()

    async def handle(self, event: Event) -> None:
        """Run because of an event: a schedule's tick, the command line's, or what another function found.

        Raises:
            PoisonEvent: The event starts no run, or the run that somebody asked for was refused.
            pydantic.ValidationError: What is asked for is wrong.
            ServiceAway: A run is under way, or a backing service is away.
        """
        if event.type not in self._starts:
            raise PoisonEvent(f"expected an event of type {' or '.join(self._starts)}")
        try:
            trigger = Trigger.of(event)
        except orjson.JSONDecodeError:
            raise PoisonEvent("the event's data is not JSON") from None
        outcome = await self.run(trigger)
        if outcome.kind == "refused" and trigger.kind == "event":  # nobody asked for it, so it is no bad event
            _log.warning("a run that %s started was refused: %s", event.type, outcome.reason)
            return
        _raise_unless_done(outcome)

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
        metrics.CARRIED.add(outcome.samples)
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
        _raise_unless_done(outcome)
        return outcome.result


def _raise_unless_done(outcome: JobOutcome) -> None:
    if outcome.kind == "refused":
        raise PoisonEvent(outcome.reason)
    if outcome.kind == "missing":
        raise ServiceAway(outcome.reason)
