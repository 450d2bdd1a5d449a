"""One training: from real decisions when there is a champion and enough of them, from a simulated history at first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from functions.train.errors import NotEnoughData, ServiceMissing, TrainingRefused
from functions.train.registry_watch import RegistryWatch
from functions.train.request import TrainRequest, TrainResult
from functions.train.settings import TrainSettings
from functions.train.stages import stage
from shared.contracts.event_time import to_milliseconds, to_rfc3339
from shared.features.definition import DAY_MS
from shared.registry.client import RegistryClient
from shared.registry.errors import RegistryUnavailable

if TYPE_CHECKING:
    from functions.train.candidates import Candidate
    from functions.train.dataset import Dataset
    from functions.train.lake import CompareDecisions, Lake
    from shared.registry.client import ModelVersion

log = logging.getLogger(__name__)

CHAMPION_ALIAS = "champion"
CHALLENGER_ALIAS = "challenger"
CUT_TAG = "dataset_cut"
FIRST_ANSWER_S = 0.5
OpenLake = Callable[[], tuple["Lake", "CompareDecisions"]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a training tells and asks while it runs.

    Attributes:
        inputs: Filled in: champion, seed, what names the data.
        check_alone: Called before anything is registered; raises when another training has taken over.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    check_alone: Callable[[], None] = lambda: None

    def note(self, dataset: Dataset, seed: int, champion: ModelVersion | None) -> None:
        """Write down what is learned from."""
        self.inputs.update(
            champion=None if champion is None else champion.version,
            seed=seed,
            dataset=dataset.source,
            digest=dataset.digest,
            cut=to_rfc3339(dataset.cut_ms),
            **dataset.versions,
        )


def train(
    request: TrainRequest,
    settings: TrainSettings,
    open_lake: OpenLake | None = None,
    attempt: Attempt | None = None,
) -> TrainResult:
    """Train once: a first champion with its challenger, or with a champion there a new challenger.

    A challenger that is still being weighed is not replaced, unless the request insists.

    The work on a simulated history begins while the registry may still be starting.

    Args:
        request: What is asked for.
        settings: Of the function.
        open_lake: Returns the lake and what compares its vectors with the history engine's; those of the environment
            by default.
        attempt: Told what is read, asked whether this is the only training; nobody is by default.

    Raises:
        ServiceMissing: The registry, its storage or the lake is away; nothing was registered.
        TrainingRefused: What was learned is no model to decide with, or there is nothing to learn from and the request
            insists.
        BundleError: The serving form of a model differs from the model.
    """
    attempt = attempt or Attempt()
    client = RegistryClient(settings.mlflow_tracking_uri)
    watch = RegistryWatch(client, settings.fraud_model_name, CHAMPION_ALIAS, settings.fraud_registry_wait_seconds)
    champion = watch.found() if request.bootstrap else watch.found_within(FIRST_ANSWER_S)
    if champion is None or request.bootstrap:
        candidates, dataset, appeared = _from_simulation(request, settings, client, watch, champion)
        if appeared is None:
            attempt.note(dataset, candidates[0].seed, champion)
            return _publish(candidates, dataset, settings, attempt)
        champion = appeared
    try:
        return _from_lake(
            request,
            settings,
            client,
            champion,
            open_lake or partial(_lake_of_the_environment, settings.fraud_training_parity_decisions),
            attempt,
        )
    except NotEnoughData as reason:
        if request.insist:
            raise
        message = f"champion {champion.version} stays without a challenger: {reason}"
        log.info("%s", message, extra={"model_version": champion.version})
        return TrainResult(message=message)


def _from_simulation(
    request: TrainRequest,
    settings: TrainSettings,
    client: RegistryClient,
    watch: RegistryWatch,
    champion: ModelVersion | None,
) -> tuple[list[Candidate], Dataset, ModelVersion | None]:
    """Return first models; and a champion that was there all along, which leaves nothing to bootstrap."""
    # These modules bring DuckDB, XGBoost and more: nothing that a training without work to do should load.
    from functions.train.bootstrap import first_models, simulated_dataset  # noqa: PLC0415

    watch.load_client()
    seed = settings.fraud_bootstrap_seed if request.seed is None else request.seed
    if champion is not None and request.seed is None:
        seed += int(client.versions(settings.fraud_model_name)[0].version)
    dataset = simulated_dataset(seed, settings)
    candidates = first_models(dataset, champion=champion is None, seed=seed, settings=settings)
    with stage("wait for the registry"):
        found = watch.found()
        watch.client_loaded()
    return candidates, dataset, None if request.bootstrap else found


def _from_lake(
    request: TrainRequest,
    settings: TrainSettings,
    client: RegistryClient,
    champion: ModelVersion,
    open_lake: OpenLake,
    attempt: Attempt,
) -> TrainResult:
    from functions.train.champion import champion_scores  # noqa: PLC0415 - as above
    from functions.train.retrain import challenger, lake_dataset  # noqa: PLC0415
    from shared.lake.errors import LakeAway, TableMissing  # noqa: PLC0415

    try:
        cut_ms = None if request.as_of is None else to_milliseconds(request.as_of)
        rival = client.version_by_alias(settings.fraud_model_name, CHALLENGER_ALIAS)
        dataset = lake_dataset(*open_lake(), cut_ms, settings)
        score_test = champion_scores(client, champion)
    except TableMissing as missing:
        raise NotEnoughData(f"the lake holds nothing to learn from yet: {missing}") from missing
    except (LakeAway, RegistryUnavailable) as away:
        raise ServiceMissing(str(away)) from away
    seed = settings.fraud_bootstrap_seed if request.seed is None else request.seed
    attempt.note(dataset, seed, champion)
    if not request.insist and (weighed := being_weighed(rival, dataset.cut_ms, settings.fraud_challenger_days)):
        log.info("%s", weighed)
        return TrainResult(message=weighed)
    return _publish([challenger(dataset, score_test, seed=seed, settings=settings)], dataset, settings, attempt)


def being_weighed(challenger: ModelVersion | None, cut_ms: int, days: float) -> str:
    """Return why a challenger is left to its shadow evidence; empty when there is none, or it has had its time.

    Args:
        challenger: The present one.
        cut_ms: Up to when the next one would know data, UTC milliseconds.
        days: Its time, from the cut of its own data on.
    """
    known = None if challenger is None else challenger.tags.get(CUT_TAG)
    if challenger is None or known is None:
        return ""
    age_ms = cut_ms - to_milliseconds(datetime.fromisoformat(known))
    if not 0 <= age_ms < days * DAY_MS:  # data from before its cut say nothing of how long it has been weighed
        return ""
    return f"challenger {challenger.version} is left to its shadow evidence until {days:g} days after {known}"


def _lake_of_the_environment(parity_decisions: int) -> tuple[Lake, CompareDecisions]:
    from shared.lake.lake import Lake as RealLake  # noqa: PLC0415 - brings the Delta library
    from shared.parity.check import ParityCheck  # noqa: PLC0415

    lake = RealLake.open()

    def count_mismatches(since: datetime, until: datetime) -> int:
        holes = [hole for name in ("transactions", "decisions") if (hole := lake.complete_since(name)) is not None]
        complete_since = max(holes) if holes else None
        check = ParityCheck(lake, share=1.0, most=parity_decisions, complete_since=complete_since)
        return check.run(since, until).mismatches.total()

    return lake, count_mismatches


def _publish(
    candidates: Sequence[Candidate], dataset: Dataset, settings: TrainSettings, attempt: Attempt
) -> TrainResult:
    from functions.train.publish import publish  # noqa: PLC0415 - brings MLflow

    uri, name = settings.mlflow_tracking_uri, settings.fraud_model_name
    registered = publish(uri, name, candidates, dataset, before_registering=attempt.check_alone)
    refused = [f"{candidate.alias} refused by its {candidate.refusal}" for candidate in candidates if candidate.refusal]
    if not registered:
        raise TrainingRefused("; ".join(refused))
    made = [f"registered version {entry.version} as {entry.alias}" for entry in registered]
    message = "; ".join([", ".join(made), *refused])
    log.info("%s", message)
    return TrainResult(message=message, registered=tuple(registered))
