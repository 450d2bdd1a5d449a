"""Feature columns as the matrix that models read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shared.scoring.predictor import Matrix


def matrix_of(table: pa.Table, columns: Sequence[str]) -> Matrix:
    """Return columns of a table as float32 [n, f]; null is NaN."""
    matrix = np.empty((len(table), len(columns)), np.float32)
    for index, name in enumerate(columns):
        matrix[:, index] = table.column(name).to_numpy(zero_copy_only=False)
    return matrix
