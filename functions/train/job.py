"""One training as a process of its own: `python -m functions.train.job REQUEST`.

The function stays small and answers its probes while a training runs, and the memory goes back when it is done. The
process ends with its parent: it reads standard input, which the parent holds open, to its end. The outcome is one JSON
document on standard output; everything else is written to standard error.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Literal

from pydantic import BaseModel

from functions.train.errors import ServiceMissing, TrainingRefused
from functions.train.learn import train
from functions.train.request import TrainRequest, TrainResult
from functions.train.settings import TrainSettings
from shared.scoring.errors import BundleError
from shared.telemetry import logs, tracing

NICENESS = 10
"""Decisions made on the same machine come first."""
TRACEPARENT = "TRACEPARENT"

ENVIRONMENT = {
    # OpenMP threads that wait by spinning make a fit twenty times slower on processors that are shared.
    "OMP_WAIT_POLICY": "PASSIVE",
    # MLflow's defaults wait minutes for a server that is away, send usage data, and log past our handler.
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Set before the libraries that read it are loaded, which the training does as late as it can."""


class JobOutcome(BaseModel):
    """What the process says at its end.

    Attributes:
        kind: Done, refused (asking again changes nothing) or missing (a service is away).
        reason: Why there is no result.
        result: What came of it, when done.
    """

    kind: Literal["done", "refused", "missing"]
    reason: str = ""
    result: TrainResult | None = None


def run(request: TrainRequest, settings: TrainSettings) -> JobOutcome:
    """Train and say what came of it."""
    try:
        return JobOutcome(kind="done", result=train(request, settings))
    except ServiceMissing as error:
        return JobOutcome(kind="missing", reason=str(error))
    except (TrainingRefused, BundleError) as error:
        return JobOutcome(kind="refused", reason=str(error))


def _end_with_parent() -> None:
    # Not by sys.stdin: its lock, held by a waiting daemon thread, aborts the interpreter's own end.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Entry point of the process."""
    outcome_stream = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print progress there
    os.environ.update(ENVIRONMENT)
    logs.configure("train")
    tracing.set_current(tracing.continue_trace(os.environ.get(TRACEPARENT)))
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    outcome = run(TrainRequest.model_validate_json(sys.argv[1]), TrainSettings())
    outcome_stream.write(outcome.model_dump_json())
    outcome_stream.close()
    logging.shutdown()
    # Arrow's threads may call into the interpreter while it is taken down, which aborts the process.
    os._exit(0)


if __name__ == "__main__":
    main()
