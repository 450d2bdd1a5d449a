"""The first form of training: a champion and a challenger out of a simulated history."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from functions.train.registry_watch import RegistryWatch
from functions.train.request import TrainRequest, TrainResult
from functions.train.settings import TrainSettings
from functions.train.stages import stage
from shared.registry.client import RegistryClient

if TYPE_CHECKING:
    from functions.train.candidates import Candidate
    from functions.train.dataset import Dataset
    from shared.registry.client import ModelVersion

log = logging.getLogger(__name__)

CHAMPION_ALIAS = "champion"
CHALLENGER_ALIAS = "challenger"
FIRST_ANSWER_S = 0.5


def bootstrap(request: TrainRequest, settings: TrainSettings) -> TrainResult:
    """Make the first champion and its challenger; with a champion there, a new challenger when asked for one.

    The work on the data begins while the registry may still be starting.

    Raises:
        ServiceMissing: The registry or its storage is away; nothing was registered.
        TrainingRefused: What was learned is no model to decide with.
        BundleError: The serving form of a model differs from the model.
    """
    client = RegistryClient(settings.mlflow_tracking_uri)
    watch = RegistryWatch(client, settings.fraud_model_name, CHAMPION_ALIAS, settings.fraud_registry_wait_seconds)
    champion = watch.found() if request.bootstrap else watch.found_within(FIRST_ANSWER_S)
    if champion is not None and not request.bootstrap:
        return _nothing_to_do(champion)
    watch.load_client()
    seed = settings.fraud_bootstrap_seed if request.seed is None else request.seed
    if champion is not None and request.seed is None:
        seed += int(client.versions(settings.fraud_model_name)[0].version)
    dataset = _dataset(seed, settings)
    aliases = (CHALLENGER_ALIAS,) if champion is not None else (CHAMPION_ALIAS, CHALLENGER_ALIAS)
    candidates = _candidates(aliases, dataset, seed, settings)
    with stage("wait for the registry"):
        champion = watch.found()
        watch.client_loaded()
    if champion is not None and not request.bootstrap:
        return _nothing_to_do(champion)
    return _publish(candidates, dataset, settings)


def _nothing_to_do(champion: ModelVersion) -> TrainResult:
    message = f"champion {champion.version} exists, nothing to bootstrap"
    log.info("%s", message, extra={"model_version": champion.version})
    return TrainResult(message=message)


def _dataset(seed: int, settings: TrainSettings) -> Dataset:
    # These modules bring DuckDB and pyarrow: nothing that a training without work to do should load.
    from functions.train.dataset import simulated_dataset  # noqa: PLC0415

    return simulated_dataset(
        seed=seed,
        transactions=settings.fraud_bootstrap_transactions,
        days=settings.fraud_bootstrap_days,
        threads=settings.fraud_training_threads,
    )


def _candidates(aliases: tuple[str, ...], dataset: Dataset, seed: int, settings: TrainSettings) -> list[Candidate]:
    from functions.train.candidates import make_candidate, request_only_model  # noqa: PLC0415

    with stage("fit the request-only model"):
        request_only = request_only_model(dataset, seed, settings)
    candidates = []
    for alias in aliases:
        with stage(f"fit the {alias}"):
            candidate = make_candidate(alias, dataset, request_only, seed, settings)
        figures = candidate.main.evaluation.metrics
        log.info(
            "training: %s has average precision %.4f", alias, figures["average_precision"], extra={"metrics": figures}
        )
        candidates.append(candidate)
    return candidates


def _publish(candidates: list[Candidate], dataset: Dataset, settings: TrainSettings) -> TrainResult:
    from functions.train.publish import publish  # noqa: PLC0415 - brings MLflow

    registered = publish(settings.mlflow_tracking_uri, settings.fraud_model_name, candidates, dataset)
    return TrainResult(
        message=", ".join(f"registered version {entry.version} as {entry.alias}" for entry in registered),
        registered=tuple(registered),
    )
