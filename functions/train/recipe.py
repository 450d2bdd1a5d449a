"""Recipes: how a model is grown, and what the search may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_COMMON: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "base_score": 0.5,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is grown.

    Every row starts at a score of 0.5. XGBoost's own start, the share of fraud p, gives a row the hessian p(1 - p), so
    that at first a leaf of the least child weight holds thousands of rows and rare fraud cannot be told apart; and from
    there the first Newton steps of a learning rate above 0.2 overshoot, and a strong flag ends with a score of 0.

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

    def all_parameters(self, seed: int, threads: int, device: str) -> dict[str, Any]:
        """Return the parameters handed to XGBoost."""
        where = {"seed": seed + self.seed_offset, "nthread": threads, "device": device}
        return {**_COMMON, **self.parameters, **where}

    def with_parameters(self, parameters: Mapping[str, Any]) -> Recipe:
        """Return the recipe with other parameters."""
        return replace(self, parameters={**self.parameters, **parameters})


CHAMPION = Recipe(
    "champion",
    {
        "learning_rate": 0.05,
        "max_depth": 5,
        "max_bin": 2048,
        "min_child_weight": 1.0,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "reg_lambda": 0.5,
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
    {"learning_rate": 0.1, "max_depth": 4, "max_bin": 1024, "min_child_weight": 2.0, "subsample": 0.8},
    seed_offset=2,
)
