"""One training as a process of its own: `python -m functions.train.job REQUEST`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.train.announcement import announce_registered
from functions.train.errors import ServiceMissing, TrainingRefused
from functions.train.learn import Attempt, train
from functions.train.request import TrainRequest
from functions.train.settings import TrainSettings
from shared.hosts.job import JobOutcome, JobRequest, serve
from shared.scoring.errors import BundleError

if TYPE_CHECKING:
    from shared.runs.alone import Alone

FUNCTION: Final = "train"
EVERY: Final = timedelta(days=1)

ENVIRONMENT: Final = {
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


def run(request: JobRequest) -> JobOutcome:
    """Train and say what came of it."""
    # In the process that does the work alone: boto3.
    from shared.lake.settings import LakeSettings  # noqa: PLC0415
    from shared.runs.alone import Errors, RunsAlone  # noqa: PLC0415

    settings, asked = TrainSettings(), TrainRequest.model_validate(request.asked)

    def work(alone: Alone) -> dict[str, Any]:
        result = train(asked, settings, attempt=Attempt(alone.run.inputs, alone.lease.check))
        if result.registered:
            asyncio.run(announce_registered(settings, result))
        else:
            alone.run.skip(result.message)
        return result.model_dump(mode="json")

    errors = Errors(refused=(TrainingRefused, BundleError), away=(ServiceMissing,))
    runs = RunsAlone(
        LakeSettings(), FUNCTION, every=EVERY, errors=errors, lease_seconds=settings.fraud_training_lease_seconds
    )
    runs.wait_for_lake(settings.fraud_registry_wait_seconds)  # before the first training the whole system starts
    return runs.do(request.trigger, work)


if __name__ == "__main__":
    serve(FUNCTION, run, ENVIRONMENT)
