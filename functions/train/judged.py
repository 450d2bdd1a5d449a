"""A model with its calibration, its thresholds and its figures, and its serving form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import xgboost

from functions.train.calibrate import ChosenCalibration, calibrated, choose_calibration
from functions.train.dataset import Dataset
from functions.train.evaluate import Evaluation, evaluate
from functions.train.fit import FittedModel, fit
from functions.train.recipe import Recipe
from functions.train.rows import Floats, Rows
from functions.train.settings import TrainSettings
from functions.train.thresholds import choose_policy
from shared.scoring.build import TrainedModel, build_bundle
from shared.scoring.policy import Policy
from shared.scoring.predictor import Matrix

GOLDEN_ROWS = 64
SPARE = 0.7
"""Declining aims at this share of the errors that its gate allows: what just reaches a bound on the rows that it was
chosen on falls below it on the test rows every other time."""


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A fitted model, what was chosen for it and how it did on the test rows.

    Attributes:
        fitted: The model.
        calibration: From its margins to scores.
        policy: Thresholds on its scores.
        evaluation: Figures on the test rows.
        test_scores: Its scores of the test rows, float64 [n].
    """

    fitted: FittedModel
    calibration: ChosenCalibration
    policy: Policy
    evaluation: Evaluation
    test_scores: Floats

    def scores(self, rows: Rows) -> Floats:
        """Return the calibrated probability of fraud for some rows, float64 [n], as the scorer gives it."""
        return calibrated(self.calibration.calibration, self.fitted.margins(rows))


def fit_and_judge(
    recipe: Recipe, dataset: Dataset, features: Sequence[str], *, seed: int, settings: TrainSettings, device: str
) -> JudgedModel:
    """Grow a model, calibrate it, choose its thresholds and judge it, each on rows of its own."""
    fitted = fit(recipe, dataset, features, seed=seed, threads=settings.fraud_training_threads, device=device)
    rows = dataset.calibration
    calibration = choose_calibration(fitted.margins(rows), rows.is_fraud, rows.card, rows.weight, seed=seed)
    rows = dataset.policy
    policy = choose_policy(
        calibrated(calibration.calibration, fitted.margins(rows)),
        rows.is_fraud,
        rows.card,
        rows.weight,
        least_precision=1 - SPARE * (1 - settings.fraud_least_precision),
        alert_budget=settings.fraud_alert_budget,
        seed=seed,
    )
    scores = calibrated(calibration.calibration, fitted.margins(dataset.test))
    evaluation = evaluate(scores, dataset.test, policy, seed=seed)
    return JudgedModel(fitted, calibration, policy, evaluation, scores)


def serving_bundle(name: str, main: JudgedModel, request_only: JudgedModel, dataset: Dataset) -> bytes:
    """Return the serving bundle of a model, checked against XGBoost on its golden rows.

    Raises:
        BundleError: The serving form predicts something else than XGBoost.
    """
    return build_bundle(
        model_name=name,
        catalogue_version=dataset.catalogue.version,
        settings=asdict(dataset.catalogue.settings),
        training_data=dataset.source,
        main=_trained(main, dataset.test),
        request_only=_trained(request_only, dataset.test),
    )


def _trained(judged: JudgedModel, rows: Rows) -> TrainedModel:
    golden = _golden_rows(judged, rows)
    columns = xgboost.DMatrix(golden, feature_names=list(judged.fitted.features))
    booster = judged.fitted.booster
    return TrainedModel(
        model_json=bytes(booster.save_raw("json")),
        features=judged.fitted.features,
        policy=judged.policy,
        average_precision=judged.evaluation.average_precision,
        golden_rows=golden,
        golden_scores=booster.predict(columns),
        golden_contributions=booster.predict(columns, pred_contribs=True, approx_contribs=True),
        calibration=judged.calibration.calibration,
    )


def _golden_rows(judged: JudgedModel, rows: Rows) -> Matrix:
    """Return test rows spread evenly over the ranking by score, and a row of which nothing is known."""
    ranked = np.argsort(judged.test_scores, kind="stable")
    spread = ranked[np.linspace(0, len(ranked) - 1, GOLDEN_ROWS - 1).astype(int)]
    known = judged.fitted.matrix(rows)[spread]
    return np.vstack([known, np.full((1, known.shape[1]), np.nan, np.float32)])
