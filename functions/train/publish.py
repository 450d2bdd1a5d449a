"""Runs and versions in MLflow: everything is logged first, then registered, or nothing is.

Importing this module imports MLflow, which takes seconds.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path

import mlflow
import mlflow.xgboost
import numpy as np
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.models.model import ModelInfo
from requests import RequestException

from functions.train import pictures
from functions.train.candidates import Candidate
from functions.train.dataset import Dataset
from functions.train.errors import ServiceMissing
from functions.train.judged import JudgedModel
from functions.train.request import Registered
from functions.train.stages import stage
from functions.train.version_registry import NewVersion, register
from shared.registry.client import SHA256_TAG
from shared.scoring.bundle import ARTIFACT_PATH

REQUIREMENTS = tuple(f"{package}=={installed(package)}" for package in ("mlflow", "numpy", "pandas", "xgboost-cpu"))
"""What `mlflow models serve` installs; named here because inferring it takes longer than the training."""
EXAMPLE_ROWS = 5


log = logging.getLogger(__name__)


@contextmanager
def registry_faults() -> Iterator[None]:
    """Turn what MLflow's client raises when server or storage are away into :class:`ServiceMissing`."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        raise ServiceMissing(f"MLflow or its storage is away: {error}") from error


def publish(uri: str, name: str, candidates: Sequence[Candidate], dataset: Dataset) -> list[Registered]:
    """Log every candidate as a run, then register all of them.

    Args:
        uri: Address of the MLflow server.
        name: Registered model, and the experiment.
        candidates: The most important comes first.
        dataset: What they learned from.

    Raises:
        ServiceMissing: MLflow or its storage went away; no alias was moved.
    """
    with registry_faults():
        mlflow.set_tracking_uri(uri)
        experiment_id = mlflow.set_experiment(name).experiment_id
        logged: list[NewVersion] = []
        try:
            for candidate in candidates:
                with stage(f"log the {candidate.alias}"):
                    logged.append(_log_candidate(experiment_id, name, candidate, dataset))
            with stage("register"):
                versions = register(mlflow.MlflowClient(uri), name, logged)
        except BaseException:
            _mark_failed(uri, logged)
            raise
    return [
        Registered(
            version=versions[new.alias],
            alias=new.alias,
            run_id=new.run_id,
            average_precision=candidate.main.evaluation.average_precision,
        )
        for new, candidate in zip(logged, candidates, strict=True)
    ]


def _log_candidate(experiment_id: str, name: str, candidate: Candidate, dataset: Dataset) -> NewVersion:
    with mlflow.start_run(experiment_id=experiment_id, run_name=f"{name}-{candidate.alias}") as run:
        _log_figures(candidate, dataset)
        _log_files(candidate)
        info = _log_model(candidate, dataset)
    return NewVersion(
        alias=candidate.alias,
        run_id=run.info.run_id,
        source=info.model_uri,
        model_id=info.model_id,
        tags=_version_tags(candidate, dataset),
    )


def _mark_failed(uri: str, logged: Sequence[NewVersion]) -> None:
    """Mark the runs of models that were not registered as failed, if MLflow still answers."""
    try:
        for new in logged:
            mlflow.MlflowClient(uri).set_terminated(new.run_id, "FAILED")
    except (MlflowException, RequestException) as error:
        log.warning("runs could not be marked as failed: %s", error, extra={"runs": [new.run_id for new in logged]})


def _log_figures(candidate: Candidate, dataset: Dataset) -> None:
    main, request_only = candidate.main, candidate.request_only
    mlflow.log_params(
        {
            **main.fitted.parameters,
            "trees": main.fitted.booster.num_boosted_rounds(),
            "features": len(main.fitted.features),
            "training_seed": candidate.seed,
            "policy_version": main.policy.version,
        }
    )
    request_metrics = {f"request_only_{name}": value for name, value in request_only.evaluation.metrics.items()}
    sizes = {
        f"rows_{name}": float(len(rows))
        for name, rows in (("train", dataset.train), ("stopping", dataset.stopping), ("policy", dataset.policy))
    }
    mlflow.log_metrics({**main.evaluation.metrics, **request_metrics, **sizes, **candidate.checks, **_thresholds(main)})
    mlflow.set_tags(
        {
            "catalogue_version": dataset.catalogue.version,
            "dataset_digest": dataset.digest,
            "training_data": dataset.label,
            "python": platform.python_version(),
            "xgboost": installed("xgboost-cpu"),
        }
    )
    source = CodeDatasetSource({"generated_by": dataset.label})
    # Abstract by annotation only: the base class declares a property that it does not need.
    described = MetaDataset(source, name=dataset.label, digest=dataset.digest[:36])  # type: ignore[abstract]
    mlflow.log_input(described, context="training")
    for file, figure in pictures.draw(
        main.fitted.booster, main.test_scores, dataset.test.is_fraud, main.policy
    ).items():
        mlflow.log_figure(figure, f"pictures/{file}")


def _log_files(candidate: Candidate) -> None:
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        bundle = Path(folder) / ARTIFACT_PATH
        bundle.parent.mkdir(parents=True)
        bundle.write_bytes(candidate.bundle)
        original = Path(folder) / "request_only" / "model.ubj"
        original.parent.mkdir()
        candidate.request_only.fitted.booster.save_model(original)
        mlflow.log_artifacts(folder)


def _log_model(candidate: Candidate, dataset: Dataset) -> ModelInfo:
    fitted = candidate.main.fitted
    # Doubles, so that clients may send any number; XGBoost makes them float32 again.
    example = pd.DataFrame(fitted.matrix(dataset.test)[:EXAMPLE_ROWS].astype(np.float64), columns=list(fitted.features))
    signature = infer_signature(example, candidate.main.test_scores[:EXAMPLE_ROWS].astype(np.float32))
    info: ModelInfo = mlflow.xgboost.log_model(
        fitted.booster,
        name="model",
        signature=signature,
        input_example=example,
        pip_requirements=list(REQUIREMENTS),
    )
    return info


def _thresholds(judged: JudgedModel) -> dict[str, float]:
    named = {"decline_at": judged.policy.decline_at, "review_at": judged.policy.review_at}
    return {name: threshold for name, threshold in named.items() if threshold is not None}


def _version_tags(candidate: Candidate, dataset: Dataset) -> dict[str, str]:
    main, request_only = candidate.main, candidate.request_only
    figures: dict[str, float] = {
        "average_precision": main.evaluation.average_precision,
        "request_only_average_precision": request_only.evaluation.average_precision,
        **_thresholds(main),
    }
    return {
        SHA256_TAG: hashlib.sha256(candidate.bundle).hexdigest(),
        "policy_version": main.policy.version,
        "catalogue_version": dataset.catalogue.version,
        "dataset_digest": dataset.digest,
        "training_data": dataset.label,
        **{name: f"{value:.6f}" for name, value in figures.items()},
    }
