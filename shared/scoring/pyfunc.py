"""The serving bundle as an MLflow model: `mlflow models serve` answers with the scorer's own score.

MLflow loads this module by name (`loader_module` of the flavor `python_function`) and hands it the bundle's path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shared.scoring.bundle import ServedModel, read_bundle
from shared.scoring.predictor import Scores


class ScoringModel:
    """The main model of a bundle behind MLflow's interface."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    def predict(self, frame: Any, params: Any = None) -> Scores:  # noqa: ARG002 - MLflow's signature
        """Return the calibrated probability of fraud of each row, float64 [n].

        Args:
            frame: pandas frame with the model's features as columns, NaN is missing.
            params: MLflow's; there are none.
        """
        values = frame[list(self._served.features)].to_numpy(np.float32)
        return self._served.predictor.score(np.ascontiguousarray(values))


def _load_pyfunc(path: str) -> ScoringModel:
    return ScoringModel(read_bundle(Path(path).read_bytes()).main)
