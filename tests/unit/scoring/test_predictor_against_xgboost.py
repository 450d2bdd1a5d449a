"""The serving form against XGBoost itself: margins bit for bit, scores and attributions within their tolerances."""

import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.scoring.build import contribution_graph, margin_graph
from shared.scoring.predictor import Predictor
from shared.scoring.trees import read_ensemble

WIDTH = 7


def data(seed, rows=600, missing=0.2, positives=0.2):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    matrix[:, 0] = rng.integers(0, 5, rows)  # ties at thresholds
    matrix[:, 1] *= 1e6
    signal = matrix[:, 0] + matrix[:, 2] * matrix[:, 3] + rng.normal(size=rows)
    labels = (signal > np.quantile(signal, 1 - positives)).astype(int)
    matrix[rng.random(matrix.shape) < missing] = np.nan
    return matrix, labels


def train(matrix, labels, rounds, **parameters):
    parameters = {"objective": "binary:logistic", "nthread": 1, "seed": 1, **parameters}
    return xgboost.train(parameters, xgboost.DMatrix(matrix, labels), rounds)


def predictor_of(booster):
    ensemble = read_ensemble(bytes(booster.save_raw("json")))
    names = [f"f{index}" for index in range(ensemble.width)]
    return Predictor(margin_graph(ensemble), contribution_graph(ensemble), names)


def assert_equal_to_xgboost(booster, matrix):
    predictor = predictor_of(booster)
    columns = xgboost.DMatrix(matrix)
    np.testing.assert_array_equal(predictor.margins(matrix), booster.predict(columns, output_margin=True), strict=True)
    np.testing.assert_allclose(predictor.score(matrix), booster.predict(columns), atol=1e-6, rtol=0)
    np.testing.assert_allclose(
        predictor.contributions(matrix),
        booster.predict(columns, pred_contribs=True, approx_contribs=True),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize("depth", range(1, 9))
def test_equal_at_every_depth(depth):
    matrix, labels = data(depth)
    assert_equal_to_xgboost(train(matrix, labels, 20, max_depth=depth), matrix)


@pytest.mark.parametrize("rounds", [1, 2, 50, 500])
def test_equal_for_few_and_many_trees(rounds):
    matrix, labels = data(rounds)
    assert_equal_to_xgboost(train(matrix, labels, rounds, max_depth=6, learning_rate=0.1), matrix)


@pytest.mark.parametrize("base_score", [None, 0.5, 0.003, 0.97, 1e-6])
def test_equal_for_any_base_score(base_score):
    matrix, labels = data(3)
    chosen = {} if base_score is None else {"base_score": base_score}
    assert_equal_to_xgboost(train(matrix, labels, 30, **chosen), matrix)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**16),
    rounds=st.integers(1, 40),
    missing=st.sampled_from([0.0, 0.1, 0.6, 0.99]),
    parameters=st.fixed_dictionaries(
        {
            "max_depth": st.integers(1, 8),
            "learning_rate": st.sampled_from([0.01, 0.2, 1.0]),
            "tree_method": st.sampled_from(["hist", "exact", "approx"]),
            "grow_policy": st.sampled_from(["depthwise", "lossguide"]),
            "gamma": st.sampled_from([0.0, 3.0]),
            "min_child_weight": st.sampled_from([0.01, 1.0, 20.0]),
            "reg_alpha": st.sampled_from([0.0, 5.0]),
            "subsample": st.sampled_from([0.5, 1.0]),
            "scale_pos_weight": st.sampled_from([1.0, 30.0]),
        }
    ),
)
def test_equal_for_any_settings(seed, rounds, missing, parameters):
    matrix, labels = data(seed, rows=300, missing=missing)
    booster = train(matrix, labels, rounds, **parameters)
    unseen, _ = data(seed + 1, rows=200, missing=0.3)
    unseen[0] = np.nan
    unseen[1] = np.inf
    unseen[2] = -np.inf
    assert_equal_to_xgboost_with_infinities(booster, unseen)


def assert_equal_to_xgboost_with_infinities(booster, matrix):
    predictor = predictor_of(booster)
    margins = booster.inplace_predict(matrix, predict_type="margin", missing=np.nan)
    np.testing.assert_array_equal(predictor.margins(matrix), margins)
    assert_equal_to_xgboost(booster, matrix[3:].copy())


def test_a_tree_that_found_no_split_is_a_leaf():
    matrix, labels = data(5)
    booster = train(matrix, labels, 4, gamma=1e9)
    assert all(len(tree.left) == 1 for tree in read_ensemble(bytes(booster.save_raw("json"))).trees)
    assert_equal_to_xgboost(booster, matrix)


def test_values_at_a_threshold_go_right_as_in_xgboost():
    matrix, labels = data(6, missing=0.0)
    booster = train(matrix, labels, 10, max_depth=4)
    ensemble = read_ensemble(bytes(booster.save_raw("json")))
    rows = []
    for tree in ensemble.trees:
        for node in tree.reachable():
            if not tree.is_leaf(node):
                for value in (
                    tree.value[node],
                    np.nextafter(tree.value[node], np.float32(-np.inf)),
                    np.nextafter(tree.value[node], np.float32(np.inf)),
                ):
                    row = matrix[0].copy()
                    row[tree.feature[node]] = value
                    rows.append(row)
    assert_equal_to_xgboost(booster, np.array(rows, np.float32))


def test_a_row_scores_alone_as_in_a_batch():
    matrix, labels = data(8, rows=1000)
    predictor = predictor_of(train(matrix, labels, 100, max_depth=6))
    batch, attributed = predictor.score(matrix), predictor.contributions(matrix)
    for size in (1, 3, 16, 64):
        parts = [matrix[start : start + size] for start in range(0, 320, size)]
        np.testing.assert_array_equal(
            np.concatenate([predictor.score(part) for part in parts])[:320], batch[:320], strict=True
        )
        np.testing.assert_array_equal(
            np.concatenate([predictor.contributions(part) for part in parts])[:320], attributed[:320]
        )


def test_contributions_sum_to_the_margin():
    matrix, labels = data(9)
    predictor = predictor_of(train(matrix, labels, 60))
    np.testing.assert_allclose(predictor.contributions(matrix).sum(axis=1), predictor.margins(matrix), atol=1e-4)


def test_a_model_cut_at_its_best_round_is_what_is_served():
    matrix, labels = data(10)
    booster = train(matrix, labels, 30)
    assert_equal_to_xgboost(booster[:11], matrix)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"objective": "reg:squarederror"}, "binary:logistic"),
        ({"booster": "gblinear"}, "gbtree"),
        ({"booster": "dart"}, "gbtree"),
    ],
)
def test_other_models_are_refused(parameters, reason):
    matrix, labels = data(11, missing=0.0)
    booster = train(matrix, labels, 2, **parameters)
    with pytest.raises(ValueError, match=reason):
        read_ensemble(bytes(booster.save_raw("json")))


def test_categorical_splits_are_refused():
    matrix, labels = data(12, missing=0.0)
    columns = xgboost.DMatrix(np.abs(matrix[:, :1]).round(), labels, feature_types=["c"], enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, columns, 3)
    with pytest.raises(ValueError, match="categorical"):
        read_ensemble(bytes(booster.save_raw("json")))
