"""Doing a run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, Field

from functions.archiver import metrics
from shared.hosts.outcome import ServiceAway
from shared.runs.record import Trigger
from shared.telemetry.carried import Sample

Run: TypeAlias = Callable[[Trigger], dict[str, Any]]
"""Does one run and returns what came of it; raises `ServiceAway` when it must be asked for again."""
_MODULE: Final = "functions.archiver.job"
_TIMEOUT_SECONDS: Final = 580.0


class RunFailed(RuntimeError):
    """The process of a run ended without a result; its standard error says why."""


class Result(BaseModel):
    """What the process says at its end.

    Attributes:
        away: Which service is away, if one is.
        outputs: What came of the run.
        samples: Its metrics, see `metrics.CARRIED`.
    """

    away: str = ""
    outputs: dict[str, Any] = Field(default_factory=dict)
    samples: list[Sample] = Field(default_factory=list)


def run_in_process(trigger: Trigger) -> dict[str, Any]:
    """Do one run; it reads the same environment.

    Raises:
        ServiceAway: Kafka or the lake is away, or the run took too long.
        RunFailed: It ended without a result.
    """
    command = [sys.executable, "-m", _MODULE, trigger.model_dump_json()]
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ServiceAway("the run took too long and was ended") from error
    if ended.returncode:
        raise RunFailed(f"the run ended with status {ended.returncode}")
    result = Result.model_validate_json(ended.stdout)
    metrics.CARRIED.add(result.samples)
    if result.away:
        raise ServiceAway(result.away)
    return result.outputs
