"""Training from real decisions: a challenger out of the lake."""

from __future__ import annotations

from functions.train.bootstrap import CHALLENGER_ALIAS
from functions.train.candidates import Candidate, Workshop
from functions.train.champion import ScoreTest
from functions.train.dataset import Dataset, Examples
from functions.train.device import choose_device
from functions.train.errors import NotEnoughData
from functions.train.lake import CompareDecisions, Lake, LakeHistory
from functions.train.recipe import CHAMPION
from functions.train.rows import DAY_MS
from functions.train.settings import TrainSettings
from functions.train.split import periods_by_share, split_by_time
from functions.train.stages import stage


def lake_dataset(
    lake: Lake, count_mismatches: CompareDecisions, cut_ms: int | None, settings: TrainSettings
) -> Dataset:
    """Read what the lake knew at a cut, and split it by time.

    Raises:
        NotEnoughData: There are too few decisions whose label is known.
    """
    examples = LakeHistory(
        lake=lake,
        horizon_ms=int(settings.fraud_label_horizon_days * DAY_MS),
        lookback_ms=int(settings.fraud_training_lookback_days * DAY_MS),
        count_mismatches=count_mismatches,
        cut_ms=cut_ms,
    ).examples()
    check_matured(examples, settings)
    periods = periods_by_share(
        examples.start_ms,
        examples.end_ms,
        gap_ms=examples.labels.horizon_ms,
        train_share=settings.fraud_train_share,
        test_share=settings.fraud_test_share,
    )
    return split_by_time(examples, periods)


def check_matured(examples: Examples, settings: TrainSettings) -> None:
    """Check that enough decisions are older than the label horizon.

    Raises:
        NotEnoughData: There are not; the message says how many there are and how many it takes.
    """
    is_fraud, known = examples.labels.at(examples.cut_ms)
    matured = known & (examples.rows.event_time_ms < examples.end_ms)
    rows, frauds = int(matured.sum()), int((is_fraud & matured).sum())
    least_rows, least_frauds = settings.fraud_least_matured_rows, settings.fraud_least_matured_frauds
    if rows < least_rows or frauds < least_frauds:
        raise NotEnoughData(
            f"the lake has {rows} decisions older than the label horizon of {settings.fraud_label_horizon_days:g} days,"
            f" {frauds} of them frauds; learning takes {least_rows} with {least_frauds} frauds"
        )


def challenger(dataset: Dataset, score_test: ScoreTest, *, seed: int, settings: TrainSettings) -> Candidate:
    """Make a challenger and let it through the gates, the comparison with the champion among them.

    Raises:
        BundleError: The serving form of a model differs from the model.
    """
    with stage("check parity"):
        mismatches = dataset.count_mismatches()
    with stage("score the test rows with the champion"):
        scores = score_test(dataset)
    workshop = Workshop(dataset, settings, seed, choose_device(settings.fraud_training_device), mismatches)
    return workshop.candidate(
        CHALLENGER_ALIAS,
        CHAMPION,
        workshop.request_only(),
        trials=settings.fraud_search_trials,
        champion_scores=scores,
    )
