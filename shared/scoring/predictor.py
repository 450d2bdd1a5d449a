"""Predictions and their explanation by ONNX Runtime, one thread, equal to XGBoost's own.

Two graphs serve one model. The first sums the trees' leaf values into the margin. The second has one output per
feature: what a decision path adds to each feature depends on the leaf alone, so the whole attribution of a tree
is a sparse vector at its leaf and costs about as much as the prediction itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Its usage reports would leave the payment network; they begin with the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

from shared.scoring.calibration import Calibration, Identity
from shared.scoring.errors import BundleError

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

INPUT_NAME = "features"
MARGIN_OUTPUT = "margin"
CONTRIBUTION_OUTPUT = "contributions"

SCORE_DECIMALS = 7
"""Scores are rounded to this many decimals: finer than any threshold, coarser than what two C libraries' ``exp``
may differ in, so that one event gives one score on every host."""


class Predictor:
    """Scores feature rows and attributes each score to its features.

    Safe to share between threads: ONNX Runtime sessions are.

    Args:
        margin_graph: ONNX model with input ``features`` float32 [n, f] and output ``margin`` float32 [n, 1].
        contribution_graph: ONNX model with the same input and output ``contributions`` float32 [n, f + 1].
        features: Names of the columns, in order.
        calibration: From margin to score.

    Raises:
        BundleError: A graph cannot be loaded or has another width than ``features``.
    """

    def __init__(
        self,
        margin_graph: bytes,
        contribution_graph: bytes,
        features: Sequence[str],
        calibration: Calibration | None = None,
    ) -> None:
        self.features = tuple(features)
        self.calibration = calibration or Identity()
        width = len(self.features)
        self._margin = _session(margin_graph, "model.onnx", width, MARGIN_OUTPUT, 1)
        self._contributions = _session(contribution_graph, "contributions.onnx", width, CONTRIBUTION_OUTPUT, width + 1)

    def margins(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """Return the log-odds of fraud, float32 [n], equal to XGBoost's ``output_margin`` bit for bit.

        Args:
            matrix: float32 [n, f] in C order; NaN is a missing value.

        Raises:
            ValueError: The matrix has another shape or type.
        """
        self._check(matrix)
        if len(matrix) == 0:
            return np.empty(0, np.float32)
        output: npt.NDArray[np.float32] = self._margin.run([MARGIN_OUTPUT], {INPUT_NAME: matrix})[0]
        return output[:, 0]

    def score(self, matrix: Matrix) -> Scores:
        """Return the calibrated probability of fraud, float64 [n] in [0, 1]; one row scores as in a batch.

        Args:
            matrix: float32 [n, f] in C order; NaN is a missing value.

        Raises:
            ValueError: The matrix has another shape or type.
        """
        probability = self.calibration.probability
        return np.array(
            [round(probability(margin), SCORE_DECIMALS) for margin in self.margins(matrix).tolist()],
            dtype=np.float64,
        )

    def contributions(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """Return what each feature adds to the margin along the trees' decision paths, float32 [n, f + 1].

        The last column is the bias; a row sums to its margin. Equal to XGBoost's
        ``predict(pred_contribs=True, approx_contribs=True)`` (Saabas' method: the change of the expected value at
        every split on the path is given to the split's feature).

        Args:
            matrix: float32 [n, f] in C order; NaN is a missing value.

        Raises:
            ValueError: The matrix has another shape or type.
        """
        self._check(matrix)
        if len(matrix) == 0:
            return np.empty((0, len(self.features) + 1), np.float32)
        output: npt.NDArray[np.float32] = self._contributions.run([CONTRIBUTION_OUTPUT], {INPUT_NAME: matrix})[0]
        return output

    def _check(self, matrix: Matrix) -> None:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features) or matrix.dtype != np.float32:
            raise ValueError(
                f"a float32 matrix of {len(self.features)} columns is needed, "
                f"not {matrix.dtype} of shape {matrix.shape}"
            )


def _session(graph: bytes, piece: str, width: int, output: str, output_width: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
        raise BundleError(f"{piece} is not a model ONNX Runtime can load: {error}") from error
    shapes = {node.name: list(node.shape)[-1:] for node in (*session.get_inputs(), *session.get_outputs())}
    if shapes != {INPUT_NAME: [width], output: [output_width]}:
        raise BundleError(
            f"{piece} has inputs and outputs {shapes}, not {INPUT_NAME} [{width}] and {output} [{output_width}]"
        )
    return session
