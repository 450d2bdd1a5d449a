"""Builds a serving bundle out of trained XGBoost models; only training imports this (it needs ``onnx``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from shared.scoring.bundle import read_bundle, write_bundle
from shared.scoring.calibration import Calibration, Identity
from shared.scoring.manifest import MAIN, REQUEST_ONLY, GoldenRows, Manifest, ModelCard
from shared.scoring.policy import Policy
from shared.scoring.predictor import CONTRIBUTION_OUTPUT, INPUT_NAME, MARGIN_OUTPUT, Matrix
from shared.scoring.trees import Ensemble, Tree, read_ensemble

ONNX_OPSET = 17
ONNX_ML_OPSET = 3
ONNX_IR_VERSION = 9


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """One trained model and all that its serving form must carry.

    Attributes:
        model_json: ``Booster.save_raw("json")``; every tree in it is summed, so cut it at the best iteration.
        features: Names of the columns, in order.
        policy: Thresholds on the calibrated score.
        average_precision: On the test rows.
        golden_rows: float32 [n, f] rows to be compared each time the model is loaded, NaN is missing.
        golden_scores: float32 [n], XGBoost's own predictions for them.
        golden_contributions: float32 [n, f + 1], XGBoost's own ``approx_contribs`` for them.
        calibration: From margin to score.
    """

    model_json: bytes
    features: tuple[str, ...]
    policy: Policy
    average_precision: float
    golden_rows: Matrix
    golden_scores: Matrix
    golden_contributions: Matrix
    calibration: Calibration = field(default_factory=Identity)

    def card(self) -> ModelCard:
        """Return the model's entry in the manifest."""
        rows = tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in self.golden_rows)
        golden = GoldenRows(
            rows=rows,
            scores=tuple(self.golden_scores.astype(float).tolist()),
            contributions=tuple(tuple(row) for row in self.golden_contributions.astype(float).tolist()),
        )
        return ModelCard(self.features, self.policy, self.average_precision, golden, self.calibration)


def build_bundle(
    *,
    model_name: str,
    catalogue_version: str,
    settings: Mapping[str, Any],
    training_data: str,
    main: TrainedModel,
    request_only: TrainedModel,
) -> bytes:
    """Return the bytes of a bundle that was read back and found to predict what the originals predict.

    Raises:
        ValueError: A model cannot be served (:func:`shared.scoring.trees.read_ensemble`) or its columns differ.
        BundleError: The serving form differs from XGBoost's answers on the golden rows.
    """
    graphs: dict[str, bytes] = {}
    for name, model in ((MAIN, main), (REQUEST_ONLY, request_only)):
        ensemble = read_ensemble(model.model_json)
        _check_columns(ensemble, model.features)
        graphs[f"{name}/model.onnx"] = margin_graph(ensemble)
        graphs[f"{name}/contributions.onnx"] = contribution_graph(ensemble)
    manifest = Manifest(
        model_name=model_name,
        catalogue_version=catalogue_version,
        settings=settings,
        training_data=training_data,
        main=main.card(),
        request_only=request_only.card(),
        members={name: hashlib.sha256(graph).hexdigest() for name, graph in graphs.items()},
    )
    data = write_bundle(manifest, graphs)
    read_bundle(data)
    return data


def _check_columns(ensemble: Ensemble, features: Sequence[str]) -> None:
    if ensemble.width != len(features):
        raise ValueError(f"the model has {ensemble.width} columns, {len(features)} features are named")
    if ensemble.feature_names and ensemble.feature_names != tuple(features):
        raise ValueError("the model's own feature names differ from the features named")


def margin_graph(ensemble: Ensemble) -> bytes:
    """Return an ONNX model of the log-odds, equal to XGBoost's bit for bit.

    The base margin is a first tree of a single leaf: ONNX Runtime adds ``base_values`` after the trees, XGBoost
    starts from it, and float32 sums depend on the order.
    """
    nodes = _EnsembleNodes()
    nodes.add_constant_tree(float(ensemble.base_margin))
    for tree in ensemble.trees:
        number = nodes.begin_tree()
        for node in tree.reachable():
            if tree.is_leaf(node):
                nodes.add_leaf(number, node, {0: float(tree.value[node])})
            else:
                nodes.add_split(number, node, tree)
    return nodes.model(ensemble.width, MARGIN_OUTPUT, 1)


def contribution_graph(ensemble: Ensemble) -> bytes:
    """Return an ONNX model of the decision-path attribution, one output per feature and the bias last.

    The bias is a tree of a single leaf too: ONNX Runtime drops the base value of an output that no leaf adds to.
    """
    nodes = _EnsembleNodes()
    bias = float(ensemble.base_margin)
    for tree in ensemble.trees:
        number = nodes.begin_tree()
        expected, leaves = tree.attributions()
        bias += expected
        for node in tree.reachable():
            if tree.is_leaf(node):
                nodes.add_leaf(number, node, leaves[node] or {0: 0.0})
            else:
                nodes.add_split(number, node, tree)
    nodes.add_constant_tree(bias, target=ensemble.width)
    return nodes.model(ensemble.width, CONTRIBUTION_OUTPUT, ensemble.width + 1)


class _EnsembleNodes:
    """Collects the attributes of ONNX's ``TreeEnsembleRegressor``, which wants them as parallel lists."""

    def __init__(self) -> None:
        self._trees = 0
        self._nodes: list[tuple[int, int, int, float, str, int, int, int]] = []
        self._leaves: list[tuple[int, int, int, float]] = []

    def begin_tree(self) -> int:
        self._trees += 1
        return self._trees - 1

    def add_constant_tree(self, value: float, target: int = 0) -> None:
        self.add_leaf(self.begin_tree(), 0, {target: value})

    def add_split(self, tree_number: int, node: int, tree: Tree) -> None:
        self._nodes.append(
            (
                tree_number,
                node,
                int(tree.feature[node]),
                float(tree.value[node]),
                "BRANCH_LT",
                int(tree.left[node]),
                int(tree.right[node]),
                int(tree.default_left[node]),
            )
        )

    def add_leaf(self, tree_number: int, node: int, weights: Mapping[int, float]) -> None:
        self._nodes.append((tree_number, node, 0, 0.0, "LEAF", 0, 0, 0))
        self._leaves += [(tree_number, node, target, weight) for target, weight in sorted(weights.items())]

    def model(self, width: int, output: str, targets: int) -> bytes:
        trees, nodes, features, values, modes, left, right, missing_left = zip(*self._nodes, strict=True)
        leaf_trees, leaf_nodes, target_ids, weights = zip(*self._leaves, strict=True)
        operator = helper.make_node(
            "TreeEnsembleRegressor",
            [INPUT_NAME],
            [output],
            domain="ai.onnx.ml",
            n_targets=targets,
            aggregate_function="SUM",
            post_transform="NONE",
            nodes_treeids=trees,
            nodes_nodeids=nodes,
            nodes_featureids=features,
            nodes_values=values,
            nodes_modes=modes,
            nodes_truenodeids=left,
            nodes_falsenodeids=right,
            nodes_missing_value_tracks_true=missing_left,
            target_treeids=leaf_trees,
            target_nodeids=leaf_nodes,
            target_ids=target_ids,
            target_weights=weights,
        )
        graph = helper.make_graph(
            [operator],
            output,
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, targets])],
        )
        built: ModelProto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", ONNX_OPSET), helper.make_opsetid("ai.onnx.ml", ONNX_ML_OPSET)],
            ir_version=ONNX_IR_VERSION,
            producer_name="fraud-detection",
        )
        return bytes(built.SerializeToString(deterministic=True))
