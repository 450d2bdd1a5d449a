"""The first form of training: a champion and a challenger out of a simulated history."""

from __future__ import annotations

from functions.train.candidates import Candidate, Workshop
from functions.train.dataset import Dataset
from functions.train.device import choose_device
from functions.train.recipe import CHALLENGER, CHAMPION
from functions.train.settings import TrainSettings
from functions.train.simulated import SimulatedHistory
from functions.train.split import periods_by_share, split_by_time
from functions.train.stages import stage

CHAMPION_ALIAS = "champion"
CHALLENGER_ALIAS = "challenger"


def simulated_dataset(seed: int, settings: TrainSettings) -> Dataset:
    """Simulate a labelled history and split it by time."""
    examples = SimulatedHistory(
        seed=seed,
        transactions=settings.fraud_bootstrap_transactions,
        days=settings.fraud_bootstrap_days,
        threads=settings.fraud_training_threads,
        traffic=settings.bootstrap_traffic,
    ).examples()
    periods = periods_by_share(
        examples.start_ms,
        examples.end_ms,
        gap_ms=examples.labels.horizon_ms,
        train_share=settings.fraud_train_share,
        test_share=settings.fraud_test_share,
    )
    return split_by_time(examples, periods)


def first_models(dataset: Dataset, *, champion: bool, seed: int, settings: TrainSettings) -> list[Candidate]:
    """Make a challenger, and before it a champion when there is none; nothing is searched for, a start must be quick.

    Raises:
        BundleError: The serving form of a model differs from the model.
    """
    with stage("check parity"):
        mismatches = dataset.count_mismatches()
    workshop = Workshop(dataset, settings, seed, choose_device(settings.fraud_training_device), mismatches)
    request_only = workshop.request_only()
    if not champion:
        return [workshop.candidate(CHALLENGER_ALIAS, CHALLENGER, request_only)]
    first = workshop.candidate(CHAMPION_ALIAS, CHAMPION, request_only)
    scores = first.main.test_scores
    return [first, workshop.candidate(CHALLENGER_ALIAS, CHALLENGER, request_only, champion_scores=scores)]
