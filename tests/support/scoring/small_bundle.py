"""A small serving bundle whose scores can be worked out by hand, made in milliseconds without XGBoost.

The model is a list of rules: each adds its weight to the log-odds when a feature reaches a value, and nothing when
it does not or is missing. `score_of` is the same rule in plain Python.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shared.features.catalogue import CATALOGUE
from shared.scoring.build import TrainedModel, build_bundle
from shared.scoring.calibration import Calibration, Identity
from shared.scoring.policy import Policy


class Rule(NamedTuple):
    """Adds `weight` to the log-odds when `feature` >= `at`."""

    feature: str
    at: float
    weight: float


BASE_SCORE = 0.02
RULES = (
    Rule("amount", 100_000, 4.0),
    Rule("txn_count_10m", 5, 4.0),
    Rule("is_high_risk_merchant", 1, 2.5),
)
POLICY = Policy(decline_at=0.9, review_at=0.5)


def score_of(
    values: Mapping[str, float | None],
    rules: Sequence[Rule] = RULES,
    base_score: float = BASE_SCORE,
) -> float:
    """The uncalibrated score a small model gives to these values."""
    base = float(np.float32(base_score))
    margin = math.log(base / (1 - base))
    for rule in rules:
        value = values.get(rule.feature)
        if value is not None and value >= rule.at:
            margin += rule.weight
    return 1 / (1 + math.exp(-margin))


def small_model(
    features: Sequence[str],
    rules: Sequence[Rule] = RULES,
    *,
    base_score: float = BASE_SCORE,
    policy: Policy = POLICY,
    calibration: Calibration | None = None,
    average_precision: float = 0.8,
) -> TrainedModel:
    """A model over `features` of those rules that look at one of them."""
    used = [rule for rule in rules if rule.feature in features]
    width = len(features)
    golden = [[math.nan] * width, [0.0] * width]
    for rule in used:
        row = [0.0] * width
        row[features.index(rule.feature)] = rule.at
        golden.append(row)
    rows = np.array(golden, np.float32)
    scores, contributions = [], []
    for row in rows.tolist():
        values = {name: None if math.isnan(value) else value for name, value in zip(features, row, strict=True)}
        scores.append(score_of(values, used, base_score))
        base = float(np.float32(base_score))
        attributed = [0.0] * width + [math.log(base / (1 - base))]
        for rule in used:
            value = values[rule.feature]
            reached = value is not None and value >= rule.at
            attributed[features.index(rule.feature)] += rule.weight / 2 if reached else -rule.weight / 2
            attributed[-1] += rule.weight / 2
        contributions.append(attributed)
    return TrainedModel(
        model_json=_model_json(features, used, base_score),
        features=tuple(features),
        policy=policy,
        average_precision=average_precision,
        golden_rows=rows,
        golden_scores=np.array(scores, np.float32),
        golden_contributions=np.array(contributions, np.float32),
        calibration=calibration or Identity(),
    )


def small_bundle(
    *,
    features: Sequence[str] = CATALOGUE.names,
    request_only: Sequence[str] = CATALOGUE.request_only,
    rules: Sequence[Rule] = RULES,
    base_score: float = BASE_SCORE,
    policy: Policy = POLICY,
    calibration: Calibration | None = None,
    model_name: str = "fraud",
) -> bytes:
    """Bytes of a valid bundle; `tests/support/scoring/small_bundle.py` says what it predicts."""
    return build_bundle(
        model_name=model_name,
        catalogue_version=CATALOGUE.version,
        settings={"high_risk_categories": list(CATALOGUE.settings.high_risk_categories)},
        training_data="rules written by hand",
        main=small_model(features, rules, base_score=base_score, policy=policy, calibration=calibration),
        request_only=small_model(request_only, rules, base_score=base_score, policy=policy, average_precision=0.4),
    )


def _model_json(features: Sequence[str], rules: Sequence[Rule], base_score: float) -> bytes:
    trees = [
        {
            "left_children": [1, -1, -1],
            "right_children": [2, -1, -1],
            "split_indices": [features.index(rule.feature), 0, 0],
            "split_conditions": [rule.at, 0.0, rule.weight],
            "default_left": [1, 0, 0],
            "sum_hessian": [2.0, 1.0, 1.0],
            "split_type": [0, 0, 0],
            "categories": [],
            "tree_param": {"size_leaf_vector": "1"},
        }
        for rule in rules
    ]
    learner = {
        "objective": {"name": "binary:logistic"},
        "learner_model_param": {"base_score": f"[{base_score:E}]", "num_feature": str(len(features))},
        "feature_names": list(features),
        "gradient_booster": {"name": "gbtree", "model": {"trees": trees}},
    }
    return json.dumps({"learner": learner}).encode()
