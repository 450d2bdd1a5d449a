"""A boosted tree ensemble as arrays, read from XGBoost's own JSON form, and what its paths attribute.

The JSON is that of ``Booster.save_raw("json")``; its schema is ``doc/model.schema`` of the XGBoost project. XGBoost
itself is not needed to read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Tree:
    """One regression tree; arrays are indexed by node, node 0 is the root.

    Attributes:
        left: Left child, -1 at a leaf.
        right: Right child, -1 at a leaf.
        feature: Column a node splits on.
        value: float32; a row goes left where its value < this one; at a leaf the leaf's value.
        default_left: Whether a missing value goes left.
        hessian: Sum of second derivatives of the training rows in the node.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]
    default_left: npt.NDArray[np.bool_]
    hessian: npt.NDArray[np.float64]

    def is_leaf(self, node: int) -> bool:
        """Return whether a node is a leaf."""
        return bool(self.left[node] < 0)

    def reachable(self) -> Iterator[int]:
        """Yield every node from the root down, parents first; nodes that pruning cut off are left out."""
        waiting = [0]
        while waiting:
            node = waiting.pop()
            yield node
            if not self.is_leaf(node):
                waiting += [int(self.right[node]), int(self.left[node])]

    def expected_values(self) -> npt.NDArray[np.float64]:
        """Return each node's expected leaf value over the training rows, weighted by hessian."""
        expected = self.value.astype(np.float64)
        for node in reversed(list(self.reachable())):
            if not self.is_leaf(node):
                left, right = self.left[node], self.right[node]
                weighted = expected[left] * self.hessian[left] + expected[right] * self.hessian[right]
                expected[node] = weighted / self.hessian[node]
        return expected

    def attributions(self) -> tuple[float, dict[int, dict[int, float]]]:
        """Return the root's expected value and, for every leaf, what its path adds to each feature.

        The change of the expected value at a split is given to the split's feature (Saabas' method).
        """
        expected = self.expected_values()
        paths: dict[int, dict[int, float]] = {0: {}}
        leaves: dict[int, dict[int, float]] = {}
        for node in self.reachable():
            path = paths.pop(node)
            if self.is_leaf(node):
                leaves[node] = path
                continue
            feature = int(self.feature[node])
            for child in (int(self.left[node]), int(self.right[node])):
                step = float(expected[child] - expected[node])
                paths[child] = {**path, feature: path.get(feature, 0.0) + step}
        return float(expected[0]), leaves


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A binary classifier: the sum of its trees' leaves and ``base_margin`` is the log-odds.

    Attributes:
        base_margin: Log-odds before the first tree, float32.
        trees: In the order they are summed.
        width: Number of features.
        feature_names: Names of the columns, empty when the model was trained without.
    """

    base_margin: np.float32
    trees: tuple[Tree, ...]
    width: int
    feature_names: tuple[str, ...]


def read_ensemble(model_json: bytes) -> Ensemble:
    """Read what ``Booster.save_raw("json")`` wrote.

    Raises:
        ValueError: It is not a ``binary:logistic`` ensemble of plain numeric trees, the only kind served here.
    """
    learner = json.loads(model_json)["learner"]
    objective = learner["objective"]["name"]
    if objective != "binary:logistic":
        raise ValueError(f"only binary:logistic models are served, not {objective}")
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise ValueError(f"only gbtree models are served, not {booster['name']}")
    parameters = learner["learner_model_param"]
    return Ensemble(
        base_margin=_base_margin(parameters["base_score"]),
        trees=tuple(_read_tree(tree) for tree in booster["model"]["trees"]),
        width=int(parameters["num_feature"]),
        feature_names=tuple(learner.get("feature_names", ())),
    )


def _base_margin(base_score: str) -> np.float32:
    # XGBoost 3.1 and later write a vector of one number ("[2E-2]"), earlier releases the number alone.
    score = np.float32(json.loads(base_score.strip("[]")))
    if not 0 < score < 1:
        raise ValueError(f"base_score of a binary model must be in (0, 1), not {score}")
    one = np.float32(1)
    # float32 up to the logarithm, as XGBoost does; numpy's own float32 log may be a bit off libm's.
    return np.float32(-math.log(one / score - one))


def _read_tree(tree: dict[str, Any]) -> Tree:
    if any(tree.get("split_type", ())) or tree.get("categories"):
        raise ValueError("categorical splits are not served")
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise ValueError("trees with vector leaves are not served")
    return Tree(
        left=np.array(tree["left_children"], np.int64),
        right=np.array(tree["right_children"], np.int64),
        feature=np.array(tree["split_indices"], np.int64),
        value=np.array(tree["split_conditions"], np.float32),
        default_left=np.array(tree["default_left"], np.bool_),
        hessian=np.array(tree["sum_hessian"], np.float32).astype(np.float64),
    )
