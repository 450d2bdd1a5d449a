"""A model with its thresholds and its figures, and its serving form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import xgboost

from functions.train.dataset import Dataset, Rows
from functions.train.evaluate import Evaluation, evaluate
from functions.train.fit import FittedModel, Recipe, fit
from functions.train.settings import TrainSettings
from functions.train.thresholds import choose_policy
from shared.scoring.build import TrainedModel, build_bundle
from shared.scoring.policy import Policy
from shared.scoring.predictor import Matrix

GOLDEN_ROWS = 64


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A fitted model, the policy chosen for it and how it did on the test rows.

    Attributes:
        fitted: The model.
        policy: Thresholds on its scores.
        evaluation: Figures on the test rows.
        test_scores: Its scores of the test rows, float64 [n].
    """

    fitted: FittedModel
    policy: Policy
    evaluation: Evaluation
    test_scores: npt.NDArray[np.float64]


def fit_and_judge(
    recipe: Recipe, dataset: Dataset, features: Sequence[str], *, seed: int, settings: TrainSettings
) -> JudgedModel:
    """Grow a model, choose its thresholds on the policy rows and judge it on the test rows."""
    fitted = fit(recipe, dataset, features, seed=seed, threads=settings.fraud_training_threads)
    policy = choose_policy(
        fitted.scores(dataset.policy),
        dataset.policy.is_fraud,
        dataset.policy.card,
        least_precision=settings.fraud_least_precision,
        alert_budget=settings.fraud_alert_budget,
        seed=seed,
    )
    scores = fitted.scores(dataset.test)
    return JudgedModel(fitted, policy, evaluate(scores, dataset.test, policy, seed=seed), scores)


def serving_bundle(name: str, main: JudgedModel, request_only: JudgedModel, dataset: Dataset) -> bytes:
    """Return the serving bundle of a model, checked against XGBoost on its golden rows.

    Raises:
        BundleError: The serving form predicts something else than XGBoost.
    """
    return build_bundle(
        model_name=name,
        catalogue_version=dataset.catalogue.version,
        settings=asdict(dataset.catalogue.settings),
        training_data=dataset.label,
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
    )


def _golden_rows(judged: JudgedModel, rows: Rows) -> Matrix:
    """Return test rows spread evenly over the ranking by score, and a row of which nothing is known."""
    ranked = np.argsort(judged.test_scores, kind="stable")
    spread = ranked[np.linspace(0, len(ranked) - 1, GOLDEN_ROWS - 1).astype(int)]
    known = judged.fitted.matrix(rows)[spread]
    return np.vstack([known, np.full((1, known.shape[1]), np.nan, np.float32)])
