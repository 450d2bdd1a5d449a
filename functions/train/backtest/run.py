"""A backtest: features, split, the training and gates of the real system, and what they are worth on the file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from functions.train.backtest.figures import Day, Miss, Money, by_day, decisions, money, worst_misses
from functions.train.backtest.file_history import FileHistory
from functions.train.backtest.periods import Asked, backtest_periods, split_file, without_clocks
from functions.train.candidates import Candidate, Workshop
from functions.train.champion import champion_scores
from functions.train.dataset import Dataset
from functions.train.device import choose_device
from functions.train.errors import ServiceMissing
from functions.train.recipe import CHAMPION
from functions.train.request import Registered
from functions.train.settings import TrainSettings
from functions.train.stages import stage
from shared.registry.client import ModelVersion, RegistryClient
from shared.registry.errors import RegistryUnavailable

log = logging.getLogger(__name__)

CANDIDATE_ALIAS = "candidate"
CHAMPION_ALIAS = "champion"


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of a backtest.

    Attributes:
        dataset: What was learned from and judged on.
        candidate: The model, with its figures and gates.
        money: Amounts in the test period.
        days: The test period day by day.
        misses: The approved frauds with the largest amounts.
        transaction_ids: Ids of the misses, by row of the file.
        dropped: Features that the file does not allow, each with what is missing.
        currency: Of all amounts; None when there are several.
        registered: The version in the registry.
        not_registered: Why there is none.
    """

    dataset: Dataset
    candidate: Candidate
    money: Money
    days: list[Day]
    misses: list[Miss]
    transaction_ids: Mapping[int, str]
    dropped: Mapping[str, tuple[str, ...]]
    currency: str | None
    registered: Registered | None
    not_registered: str


def backtest(history: FileHistory, asked: Asked, settings: TrainSettings, registry: str | None) -> Backtest:
    """Train and judge on a file, and leave the model in the registry as a candidate.

    Args:
        history: The file.
        asked: Bounds of the periods.
        settings: Of the training.
        registry: Address of the MLflow server; None when there is none.

    Raises:
        TrainingRefused: There is too little to learn from, or what was learned is no model to decide with.
        BundleError: The serving form of the model differs from the model.
    """
    dataset = _dataset(history, asked)
    champion, silence = _champion(registry, settings)
    with stage("check parity"):
        mismatches = dataset.count_mismatches()
    workshop = Workshop(
        dataset, settings, settings.fraud_bootstrap_seed, choose_device(settings.fraud_training_device), mismatches
    )
    candidate = workshop.candidate(
        CANDIDATE_ALIAS,
        CHAMPION,
        workshop.request_only(),
        trials=settings.fraud_search_trials,
        champion_scores=None
        if champion is None or registry is None
        else champion_scores(RegistryClient(registry), champion)(dataset),
    )
    registered, silence = (
        (None, silence)
        if silence or registry is None
        else _register(candidate, dataset, registry, settings.fraud_model_name)
    )
    decided = decisions(candidate.main.test_scores, candidate.main.policy)
    misses = worst_misses(dataset.test, candidate.main.test_scores, decided)
    return Backtest(
        dataset=dataset,
        candidate=candidate,
        money=money(dataset.test, decided),
        days=by_day(dataset.test, decided),
        misses=misses,
        transaction_ids=_transaction_ids(history.table, misses),
        dropped=history.dropped()
        | {name: ("a longer history",) for name in history.catalogue().names if name not in dataset.names},
        currency=_currency(history.table),
        registered=registered,
        not_registered=silence,
    )


def _dataset(history: FileHistory, asked: Asked) -> Dataset:
    examples = history.examples()
    train, test = backtest_periods(
        asked,
        first_ms=examples.start_ms,
        last_ms=examples.end_ms - 1,
        label_delay_ms=history.label_delay_ms,
    )
    return split_file(without_clocks(examples, train), train, test)


def _champion(registry: str | None, settings: TrainSettings) -> tuple[ModelVersion | None, str]:
    """Return the champion, if there is one, and why the registry does not answer."""
    if registry is None:
        return None, "no registry is known: set MLFLOW_TRACKING_URI or start the system"
    try:
        return RegistryClient(registry).version_by_alias(settings.fraud_model_name, CHAMPION_ALIAS), ""
    except RegistryUnavailable as away:
        return None, f"the registry at {registry} does not answer: {away}"


def _register(candidate: Candidate, dataset: Dataset, registry: str, name: str) -> tuple[Registered | None, str]:
    from functions.train.publish import publish  # noqa: PLC0415 - brings MLflow

    try:
        [registered] = publish(registry, name, [candidate], dataset, refused_too=True)
    except ServiceMissing as away:
        return None, str(away)
    return registered, ""


def _currency(table: Path) -> str | None:
    with duckdb.connect() as connection:
        found = connection.execute("SELECT DISTINCT currency FROM read_parquet($1) LIMIT 2", [str(table)]).fetchall()
    return str(found[0][0]) if len(found) == 1 else None


def _transaction_ids(table: Path, misses: list[Miss]) -> dict[int, str]:
    with duckdb.connect() as connection:
        query = "SELECT file_row, transaction_id FROM read_parquet($1) WHERE list_contains($2, file_row)"
        return dict(connection.execute(query, [str(table), [miss.row for miss in misses]]).fetchall())
