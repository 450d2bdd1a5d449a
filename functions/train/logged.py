"""Vectors as they were logged at the decision, filled where a feature is newer than the log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from functions.train.rows import Bools
from functions.train.vectors import matrix_of
from shared.features.catalogue import Catalogue
from shared.features.history import HistoryFeatures
from shared.scoring.predictor import Matrix

PREFIX = "f_"


class LoggedVectors:
    """The vectors of decisions.

    Args:
        decisions: With `f_<feature>` and `catalogue_version`, one row per decision.
        catalogue: The features to have.
        known: Reads what the feature engine may know: transactions, with `row` where one is a decision's, and labels.
    """

    def __init__(
        self, decisions: pa.Table, catalogue: Catalogue, known: Callable[[], tuple[pa.Table, pa.Table]]
    ) -> None:
        self._decisions = decisions
        self._catalogue = catalogue
        self._known = known
        self._logged = _with_all_columns(decisions, catalogue)
        self._version = decisions.column("catalogue_version").to_numpy(zero_copy_only=False)

    def complete(self) -> Matrix:
        """Return the vectors, float32 [n, f].

        A feature that no decision under one version of the catalogue has is newer than that version: the history engine
        fills it. Where every decision has all features, nothing is read or computed.
        """
        vectors = self._logged.copy()
        absent = self._absent()
        if absent.any():
            computed = matrix_of(self._recomputed(), self._catalogue.names)
            vectors[absent] = computed[absent]
        return vectors

    def _recomputed(self) -> pa.Table:
        """Return the engine's answers to the decisions, in their order."""
        transactions, labels = self._known()
        answers = HistoryFeatures(self._catalogue).table(transactions.drop_columns(["row"]), labels)
        row = transactions.column("row")
        of_decisions = pc.is_valid(row)
        positions = np.empty(len(self._decisions), np.int64)
        positions[row.filter(of_decisions).to_numpy()] = np.flatnonzero(of_decisions.to_numpy(zero_copy_only=False))
        return answers.take(pa.array(positions))

    def _absent(self) -> Bools:
        absent = np.zeros(self._logged.shape, bool)
        for version in np.unique(self._version.astype(str)):
            of_version = self._version == version
            never = np.isnan(self._logged[of_version]).all(axis=0)
            if version != self._catalogue.version:
                absent[np.ix_(of_version, never)] = True
        return absent


def _with_all_columns(decisions: pa.Table, catalogue: Catalogue) -> Matrix:
    nothing = pa.nulls(len(decisions), pa.float64())
    for name in catalogue.names:
        if PREFIX + name not in decisions.column_names:
            decisions = decisions.append_column(PREFIX + name, nothing)
    return matrix_of(decisions, [PREFIX + name for name in catalogue.names])
