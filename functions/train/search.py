"""A small search for better parameters: seeded, pruned, bounded by trials and never by time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from functions.train.dataset import Dataset
from functions.train.fit import FitData, fit_data, grow
from functions.train.recipe import Recipe
from functions.train.rows import Rows

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

MOST_ROWS = 200_000
"""A trial learns from no more rows than this: whole cards, drawn evenly."""
REPORTED_EVERY = 0.5
"""Trials are compared at equal sums of learning rates: after as many trees, a slow learner is always behind."""
WARMUP_REPORTS = 2
FIRST_TRIALS = 4
"""Trials before pruning, and before the sampler learns from the others."""


def search(
    recipe: Recipe, dataset: Dataset, features: Sequence[str], *, trials: int, seed: int, threads: int, device: str
) -> Recipe:
    """Return the recipe with the best parameters found, judged by the stopping rows alone.

    The first trial is the recipe as it is, so what is found is no worse there. The same dataset, recipe, seed and
    number of trials find the same parameters: nothing here looks at a clock.

    Args:
        recipe: Where to start.
        dataset: Its training rows are learned from, its stopping rows judge.
        features: Columns to use.
        trials: How many to try; below 2 the recipe is returned as it is.
        seed: Of sampler and models.
        threads: 0 is one per processor.
        device: As XGBoost names it.
    """
    if trials <= 1:
        return recipe
    import optuna  # noqa: PLC0415 - takes more than a second, and a bootstrap searches nothing

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train = _some_cards(dataset.train, seed)
    bins = int(recipe.parameters["max_bin"])
    data = fit_data(train, dataset.stopping, dataset.names, features, max_bin=bins, threads=threads)
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=FIRST_TRIALS),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST_TRIALS, n_warmup_steps=WARMUP_REPORTS),
    )
    study.enqueue_trial({name: recipe.parameters[name] for name in _SPACE})
    study.optimize(lambda trial: _try(trial, recipe, data, seed, threads, device), n_trials=trials)
    pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)
    log.info(
        "training: search of %d trials (%d pruned) took the log loss on the stopping rows from %.5f to %.5f",
        trials,
        pruned,
        study.trials[0].value,
        study.best_value,
        extra={"parameters": study.best_params},
    )
    return recipe.with_parameters(study.best_params)


_SPACE: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (0.03, 0.2, True),
    "min_child_weight": (1.0, 20.0, True),
    "subsample": (0.6, 1.0, False),
    "colsample_bytree": (0.5, 1.0, False),
    "reg_lambda": (0.3, 10.0, True),
    "max_depth": (3, 8, False),
}
"""Lowest and highest value, and whether its logarithm is what is even. The bins stay: rows are quantised once."""


def _suggest(trial: optuna.Trial, name: str) -> float:
    low, high, log_scale = _SPACE[name]
    if isinstance(low, int):
        return trial.suggest_int(name, low, int(high))
    return trial.suggest_float(name, low, high, log=log_scale)


def _try(trial: optuna.Trial, recipe: Recipe, data: FitData, seed: int, threads: int, device: str) -> float:
    import optuna  # noqa: PLC0415 - loaded already

    parameters: dict[str, Any] = {name: _suggest(trial, name) for name in _SPACE}
    hopeless, reports = False, 0

    def on_tree(trees: int, loss: float) -> bool:
        nonlocal hopeless, reports
        if trees * parameters["learning_rate"] >= (reports + 1) * REPORTED_EVERY:
            reports += 1
            trial.report(loss, reports)
            hopeless = trial.should_prune()
        return hopeless

    model = grow(recipe.with_parameters(parameters), data, seed=seed, threads=threads, device=device, on_tree=on_tree)
    if hopeless:
        raise optuna.TrialPruned
    return model.stopping_loss


def _some_cards(rows: Rows, seed: int) -> Rows:
    if len(rows) <= MOST_ROWS:
        return rows
    cards = int(rows.card.max()) + 1
    chosen = np.random.default_rng(seed).random(cards) < MOST_ROWS / len(rows)
    return rows.take(chosen[rows.card])
