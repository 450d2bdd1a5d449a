"""Gradient boosting with XGBoost: fitting, and the checks a fit must pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost
from sklearn.metrics import roc_auc_score

from functions.train.dataset import Dataset
from functions.train.errors import TrainingRefused
from functions.train.recipe import Recipe
from functions.train.rows import Bools, Floats, Rows
from shared.features.phrases import FLAG
from shared.scoring.predictor import Matrix

LEAST_TRAIN_AUC = 0.9
FLAG_LIFT = 2.0
LEAST_FLAGGED_FRAUDS = 30

OnTree = Callable[[int, float], bool]
"""Takes the number of trees and the log loss on the stopping rows; true ends the growing."""


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A grown model.

    Attributes:
        booster: XGBoost's model.
        features: Names of its columns, in order.
        columns: Where they stand in the dataset's rows.
        parameters: What it was grown with.
        stopping_loss: Log loss on the stopping rows, before they were learned from. It says when to stop because it
            moves with every row: average precision over the few frauds among them moves by chance.
    """

    booster: xgboost.Booster
    features: tuple[str, ...]
    columns: tuple[int, ...]
    parameters: Mapping[str, Any]
    stopping_loss: float

    def matrix(self, rows: Rows) -> Matrix:
        """Return this model's columns of some rows, float32 [n, f]."""
        if self.columns == tuple(range(rows.features.shape[1])):
            return rows.features
        return np.ascontiguousarray(rows.features[:, list(self.columns)])

    def margins(self, rows: Rows) -> Floats:
        """Return the log-odds of fraud for some rows, float64 [n]; XGBoost's float32 values."""
        data = xgboost.DMatrix(self.matrix(rows), feature_names=list(self.features))
        return np.asarray(self.booster.predict(data, output_margin=True), np.float64)


@dataclass(frozen=True, slots=True)
class FitData:
    """Training and stopping rows as XGBoost holds them, for several fits.

    Attributes:
        train: Quantised training rows.
        stopping: Stopping rows, quantised at the same cuts.
        columns: Where the features stand in the dataset's rows.
        features: Their names.
    """

    train: xgboost.QuantileDMatrix
    stopping: xgboost.QuantileDMatrix
    columns: tuple[int, ...]
    features: tuple[str, ...]


def fit_data(
    train: Rows, stopping: Rows, names: Sequence[str], features: Sequence[str], *, max_bin: int, threads: int
) -> FitData:
    """Quantise rows: a byte or two per value, instead of the copy in floats that a plain matrix is.

    Args:
        train: Rows to learn from.
        stopping: Rows that say when to stop.
        names: Columns of the rows.
        features: Columns to use, in order.
        max_bin: Most cuts of a feature.
        threads: 0 is one per processor.
    """
    columns = tuple(names.index(name) for name in features)
    learned = quantised(train, columns, features, max_bin=max_bin, threads=threads)
    asked = quantised(stopping, columns, features, max_bin=max_bin, threads=threads, ref=learned)
    return FitData(learned, asked, columns, tuple(features))


def quantised(
    rows: Rows,
    columns: tuple[int, ...],
    features: Sequence[str],
    *,
    max_bin: int,
    threads: int,
    ref: xgboost.QuantileDMatrix | None = None,
) -> xgboost.QuantileDMatrix:
    """Quantise some columns of rows, at cuts of their own or at those of `ref`."""
    every = columns == tuple(range(rows.features.shape[1]))
    return xgboost.QuantileDMatrix(
        rows.features if every else rows.features[:, list(columns)],
        rows.is_fraud,
        weight=None if (rows.weight == 1).all() else rows.weight,
        feature_names=list(features),
        max_bin=max_bin,
        ref=ref,
        nthread=threads or None,
    )


def fit(
    recipe: Recipe, dataset: Dataset, features: Sequence[str], *, seed: int, threads: int, device: str = "cpu"
) -> FittedModel:
    """Grow a model: the stopping rows say how many trees the training rows are good for, then both are learned from.

    The stopping rows are the newest that trees may learn from, and fraud is rare: they are too good to be only asked
    when to stop. The same dataset, recipe and seed give the same model, bit for bit, on any number of threads.
    """
    bins = int(recipe.parameters["max_bin"])
    data = fit_data(dataset.train, dataset.stopping, dataset.names, features, max_bin=bins, threads=threads)
    stopped = grow(recipe, data, seed=seed, threads=threads, device=device)
    del data  # before the same rows are quantised again
    both = quantised(
        dataset.train.followed_by(dataset.stopping), stopped.columns, features, max_bin=bins, threads=threads
    )
    booster = xgboost.train(stopped.parameters, both, stopped.booster.num_boosted_rounds(), verbose_eval=False)
    return replace(stopped, booster=booster)


def grow(
    recipe: Recipe, data: FitData, *, seed: int, threads: int, device: str, on_tree: OnTree | None = None
) -> FittedModel:
    """Grow a model on quantised rows; `on_tree` may end it early."""
    parameters = recipe.all_parameters(seed, threads, device)
    booster = xgboost.train(
        parameters,
        data.train,
        recipe.most_trees,
        evals=[(data.stopping, "stopping")],
        early_stopping_rounds=recipe.patience,
        verbose_eval=False,
        callbacks=[_Watch(on_tree)] if on_tree else None,
    )
    best = booster[: booster.best_iteration + 1]
    return FittedModel(best, data.features, data.columns, parameters, float(booster.best_score))


class _Watch(xgboost.callback.TrainingCallback):
    """Tells how growing goes on."""

    def __init__(self, on_tree: OnTree) -> None:
        super().__init__()
        self._on_tree = on_tree

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - XGBoost's signature
        """Take the loss after one more tree."""
        [losses] = evals_log["stopping"].values()
        return self._on_tree(epoch + 1, float(losses[-1]))


def check_learned(model: FittedModel, dataset: Dataset) -> dict[str, float]:
    """Check on the training rows that the model learned what they show, and return the figures.

    Raises:
        TrainingRefused: The training AUC is not above 0.9, or the rows of a flag that goes with fraud do not score
            above those without.
    """
    rows = dataset.train
    margins = model.margins(rows)
    auc = float(roc_auc_score(rows.is_fraud, margins, sample_weight=rows.weight))
    if not auc > LEAST_TRAIN_AUC:
        raise TrainingRefused(f"the training AUC is {auc:.3f}, not above {LEAST_TRAIN_AUC}")
    scores = 1 / (1 + np.exp(-margins))
    for name, column in zip(model.features, model.matrix(rows).T, strict=True):
        if dataset.catalogue[name].unit == FLAG:
            _check_flag(name, column == 1, rows.is_fraud, scores)
    return {"train_roc_auc": auc}


def _check_flag(name: str, flagged: Bools, is_fraud: Bools, scores: Floats) -> None:
    if is_fraud[flagged].sum() < LEAST_FLAGGED_FRAUDS or flagged.all():
        return
    lift = is_fraud[flagged].mean() / max(is_fraud[~flagged].mean(), 1e-9)
    if lift >= FLAG_LIFT and not scores[flagged].mean() > scores[~flagged].mean():
        raise TrainingRefused(f"fraud is {lift:.1f} times as frequent where {name} is 1, and scores lower there")
