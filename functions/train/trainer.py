"""Takes the events that start a training, runs one at a time, and tells what came of it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import Counter, Gauge

from functions.train.errors import ServiceMissing, TrainingRefused
from functions.train.job import TRACEPARENT, JobOutcome
from functions.train.request import TrainRequest, TrainResult
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.outcome import ServiceAway
from shared.telemetry import tracing

_log = logging.getLogger(__name__)

RUNS: Final = Counter("fraud_training_runs_total", "Trainings, by what came of them.", ["outcome"])
RUNNING: Final = Gauge("fraud_training_running", "1 while a training runs in this process.")
SECONDS: Final = Gauge("fraud_training_last_seconds", "Duration of the last training that registered a model.")
REGISTERED: Final = Gauge("fraud_training_last_registered_timestamp_seconds", "When a model was last registered.")

STARTS_TRAINING: Final = (cloudevents.PING, cloudevents.DRIFT)

RunJob = Callable[[TrainRequest], Awaitable[JobOutcome]]
Announce = Callable[[TrainResult], Awaitable[None]]


async def run_job_process(request: TrainRequest) -> JobOutcome:
    """Run one training in a process of its own; it is killed when the caller is cancelled.

    Raises:
        RuntimeError: The process ended without an outcome.
    """
    trace = tracing.current()
    environment = {**os.environ, **({TRACEPARENT: trace.traceparent} if trace else {})}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "functions.train.job",
        request.model_dump_json(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
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
        raise RuntimeError(f"the training process ended with status {status}")
    return JobOutcome.model_validate_json(output)


class Trainer:
    """The train function behind its hosts.

    Args:
        run_job: Runs one training.
        announce: Publishes what was registered.
    """

    def __init__(self, run_job: RunJob, announce: Announce) -> None:
        self._run_job = run_job
        self._announce = announce
        self._running = False

    async def handle(self, event: Event) -> None:
        """Train because of an event: a schedule's tick or found drift.

        Raises:
            PoisonEvent: The event starts no training, or what was learned at somebody's request is no model to decide
                with.
            pydantic.ValidationError: What is asked for is wrong.
            ServiceAway: A training runs already, or the registry or its storage is away.
        """
        if event.type not in STARTS_TRAINING:
            raise PoisonEvent(f"expected an event of type {' or '.join(STARTS_TRAINING)}")
        try:
            await self.train(TrainRequest.model_validate_json(event.data or b"{}"))
        except TrainingRefused as refused:
            if event.type == cloudevents.DRIFT:  # drift that no better model follows from is no bad event
                _log.warning("drift started a training that was refused: %s", refused)
                return
            raise PoisonEvent(f"the training was refused: {refused}") from refused
        except ServiceMissing as missing:
            raise ServiceAway(str(missing)) from missing

    async def train(self, request: TrainRequest) -> TrainResult:
        """Train once.

        Raises:
            TrainingRefused: What was learned is no model to decide with.
            ServiceMissing: A training runs already, or the registry or its storage is away.
        """
        if self._running:
            raise ServiceMissing("a training is running already")
        self._running = True
        RUNNING.set(1)
        started = time.monotonic()
        try:
            outcome = await self._run_job(request)
        except BaseException:
            RUNS.labels("failed").inc()
            raise
        finally:
            self._running = False
            RUNNING.set(0)
        return await self._conclude(outcome, time.monotonic() - started)

    async def _conclude(self, outcome: JobOutcome, seconds: float) -> TrainResult:
        result = outcome.result
        if result is None:
            RUNS.labels(outcome.kind).inc()
            raise (TrainingRefused if outcome.kind == "refused" else ServiceMissing)(outcome.reason)
        _log.info("%s", result.message, extra={"seconds": round(seconds, 1)})
        if not result.registered:
            RUNS.labels("nothing").inc()
            return result
        RUNS.labels("registered").inc()
        SECONDS.set(seconds)
        REGISTERED.set_to_current_time()
        await self._announce(result)
        return result
