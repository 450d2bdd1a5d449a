"""Gradient boosting with XGBoost: recipes, fitting, and the checks a fit must pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.metrics import roc_auc_score

from functions.train.dataset import Dataset, Rows
from functions.train.errors import TrainingRefused
from shared.features.phrases import FLAG
from shared.scoring.predictor import Matrix

LEAST_TRAIN_AUC = 0.9
FLAG_LIFT = 2.0
LEAST_FLAGGED_FRAUDS = 30

_COMMON: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "tree_method": "hist",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is grown.

    The learning rate stays at 0.2 or below: from a base score at the rare class's share the first Newton steps of a
    higher one overshoot, and a strong flag ends with a score of 0.

    Attributes:
        name: What it is for.
        parameters: XGBoost's.
        most_trees: Where growing ends at the latest.
        patience: Trees without gain on the stopping rows after which growing ends.
        seed_offset: Added to the training's seed.
    """

    name: str
    parameters: Mapping[str, Any]
    most_trees: int = 300
    patience: int = 30
    seed_offset: int = 0

    def all_parameters(self, seed: int, threads: int) -> dict[str, Any]:
        """Return the parameters handed to XGBoost."""
        seeded = {"seed": seed + self.seed_offset, "nthread": threads}
        return {**_COMMON, **self.parameters, **seeded}


CHAMPION = Recipe(
    "champion",
    {
        "learning_rate": 0.05,
        "max_depth": 5,
        "max_bin": 512,
        "min_child_weight": 2.0,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
    },
)
CHALLENGER = Recipe(
    "challenger",
    {
        "learning_rate": 0.15,
        "max_depth": 4,
        "max_bin": 256,
        "min_child_weight": 5.0,
        "subsample": 0.7,
        "colsample_bytree": 0.6,
        "reg_lambda": 3.0,
    },
    seed_offset=1,
)
REQUEST_ONLY = Recipe(
    "request_only",
    {"learning_rate": 0.1, "max_depth": 4, "max_bin": 512, "min_child_weight": 2.0, "subsample": 0.8},
    seed_offset=2,
)


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A grown model, cut at its best tree.

    Attributes:
        booster: XGBoost's model.
        features: Names of its columns, in order.
        columns: Where they stand in the dataset's rows.
        parameters: What it was grown with.
    """

    booster: xgboost.Booster
    features: tuple[str, ...]
    columns: tuple[int, ...]
    parameters: Mapping[str, Any]

    def matrix(self, rows: Rows) -> Matrix:
        """Return this model's columns of some rows, float32 [n, f]."""
        return np.ascontiguousarray(rows.features[:, list(self.columns)])

    def scores(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probability of fraud for some rows, float64 [n]."""
        predicted = self.booster.predict(xgboost.DMatrix(self.matrix(rows), feature_names=list(self.features)))
        return np.asarray(predicted, np.float64)


def fit(recipe: Recipe, dataset: Dataset, features: Sequence[str], *, seed: int, threads: int) -> FittedModel:
    """Grow a model on the training rows; the stopping rows say when to stop.

    The same dataset, recipe and seed give the same model, bit for bit.
    """
    names = list(features)
    columns = tuple(dataset.names.index(name) for name in names)
    parameters = recipe.all_parameters(seed, threads)

    def data(rows: Rows) -> xgboost.DMatrix:
        return xgboost.DMatrix(rows.features[:, list(columns)], rows.is_fraud, feature_names=names)

    booster = xgboost.train(
        parameters,
        data(dataset.train),
        recipe.most_trees,
        evals=[(data(dataset.stopping), "stopping")],
        early_stopping_rounds=recipe.patience,
        verbose_eval=False,
    )
    return FittedModel(booster[: booster.best_iteration + 1], tuple(names), columns, parameters)


def check_learned(model: FittedModel, dataset: Dataset) -> dict[str, float]:
    """Check on the training rows that the model learned what they show, and return the figures.

    Raises:
        TrainingRefused: The training AUC is not above 0.9, or the rows of a flag that goes with fraud do not score
            above those without.
    """
    rows = dataset.train
    scores = model.scores(rows)
    auc = float(roc_auc_score(rows.is_fraud, scores))
    if not auc > LEAST_TRAIN_AUC:
        raise TrainingRefused(f"the training AUC is {auc:.3f}, not above {LEAST_TRAIN_AUC}")
    for name, column in zip(model.features, model.matrix(rows).T, strict=True):
        if dataset.catalogue[name].unit == FLAG:
            _check_flag(name, column == 1, rows.is_fraud, scores)
    return {"train_roc_auc": auc}


def _check_flag(
    name: str, flagged: npt.NDArray[np.bool_], is_fraud: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]
) -> None:
    if is_fraud[flagged].sum() < LEAST_FLAGGED_FRAUDS or flagged.all():
        return
    lift = is_fraud[flagged].mean() / max(is_fraud[~flagged].mean(), 1e-9)
    if lift >= FLAG_LIFT and not scores[flagged].mean() > scores[~flagged].mean():
        raise TrainingRefused(f"fraud is {lift:.1f} times as frequent where {name} is 1, and scores lower there")
