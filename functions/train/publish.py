"""Runs and versions in MLflow: everything is logged first, then what passed its gates is registered, or nothing is.

Importing this module imports MLflow, which takes seconds.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import mlflow
from mlflow.exceptions import MlflowException
from requests import RequestException

from functions.train.candidates import Candidate
from functions.train.dataset import Dataset
from functions.train.errors import ServiceMissing
from functions.train.request import Registered
from functions.train.run_log import log_figures, log_files, log_model, run_tags, thresholds
from functions.train.stages import stage
from functions.train.version_registry import NewVersion, register
from shared.registry.client import SHA256_TAG
from shared.scoring.predictor import SCORE_DECIMALS

log = logging.getLogger(__name__)

_VERSION_TAGS = ("catalogue_version", "dataset_digest", "dataset_versions", "dataset_cut", "training_data", "gates")


@contextmanager
def registry_faults() -> Iterator[None]:
    """Turn what MLflow's client raises when server or storage are away into :class:`ServiceMissing`."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        raise ServiceMissing(f"MLflow or its storage is away: {error}") from error


def publish(
    uri: str,
    name: str,
    candidates: Sequence[Candidate],
    dataset: Dataset,
    *,
    refused_too: bool = False,
    before_registering: Callable[[], None] = lambda: None,
) -> list[Registered]:
    """Log every candidate as a run, then register those that passed their gates.

    Args:
        uri: Address of the MLflow server.
        name: Registered model, and the experiment.
        candidates: The most important comes first; without it nothing is registered.
        dataset: What they learned from.
        refused_too: Register what failed a gate too; for aliases that nothing follows.
        before_registering: What it raises ends the publishing with nothing registered.

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
            accepted = [
                (new, candidate)
                for new, candidate in zip(logged, candidates, strict=True)
                if refused_too or not candidate.refusal
            ]
            if not accepted or accepted[0][1] is not candidates[0]:
                return []
            with stage("register"):
                before_registering()
                versions = register(mlflow.MlflowClient(uri), name, [new for new, _ in accepted])
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
        for new, candidate in accepted
    ]


def _log_candidate(experiment_id: str, name: str, candidate: Candidate, dataset: Dataset) -> NewVersion:
    with mlflow.start_run(experiment_id=experiment_id, run_name=f"{name}-{candidate.alias}") as run:
        log_figures(candidate, dataset)
        log_files(candidate, dataset)
        info = log_model(candidate, dataset)
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


def _version_tags(candidate: Candidate, dataset: Dataset) -> dict[str, str]:
    main, request_only = candidate.main, candidate.request_only
    figures: dict[str, float] = {
        "average_precision": main.evaluation.average_precision,
        "request_only_average_precision": request_only.evaluation.average_precision,
        **thresholds(main),
    }
    tags = run_tags(candidate, dataset)
    return {
        SHA256_TAG: hashlib.sha256(candidate.bundle).hexdigest(),
        "policy_version": main.policy.version,
        **{name: tags[name] for name in _VERSION_TAGS},
        **{name: f"{value:.{SCORE_DECIMALS}f}" for name, value in figures.items()},
    }
