"""Vectors as they were logged at the decision: filled where a feature is newer than the log, compared elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from functions.train.parity import card_features, differing_values, some_cards
from functions.train.rows import Bools, numbered
from functions.train.vectors import matrix_of
from shared.features.catalogue import Catalogue
from shared.features.history import HistoryFeatures
from shared.scoring.predictor import Matrix

PREFIX = "f_"
FIRST_SEEN = "txn_count_30d"
"""A card whose first decision counted itself alone has no history from before the log."""


class LoggedVectors:
    """The vectors of decisions.

    Args:
        decisions: With `f_<feature>` and `catalogue_version`, one row per decision.
        catalogue: The features to have.
        transactions: Reads what the feature engine may know, with `row` where a transaction is a decision's.
    """

    def __init__(self, decisions: pa.Table, catalogue: Catalogue, transactions: Callable[[], pa.Table]) -> None:
        self._decisions = decisions
        self._catalogue = catalogue
        self._transactions = transactions
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
            computed = matrix_of(self._engine(self._catalogue, self._transactions()), self._catalogue.names)
            vectors[absent] = computed[absent]
        return vectors

    def mismatches(self) -> int:
        """Count values that differ from the history engine's, over some of the cards that the log knows from the start.

        Features that look at other cards' transactions are not compared.
        """
        catalogue = card_features(self._catalogue)
        if FIRST_SEEN not in catalogue.names:
            return 0
        transactions = self._transactions()
        card = numbered(transactions.column("card_id").to_numpy(zero_copy_only=False))
        row = transactions.column("row").fill_null(-1).to_numpy()
        chosen = some_cards(card, self._whole_cards(card, row))[card]
        some = transactions.filter(pa.array(chosen))
        found = self._engine(catalogue, some)
        rows = row[chosen & (row >= 0)]
        columns = [self._catalogue.names.index(name) for name in catalogue.names]
        computed = matrix_of(found, catalogue.names)[rows]
        logged = self._logged[np.ix_(rows, columns)]
        known = ~self._absent()[np.ix_(rows, columns)]
        return differing_values(logged[known], computed[known])

    def _whole_cards(self, card: npt.NDArray[np.int64], row: npt.NDArray[np.int64]) -> Bools:
        """Return for each card whether its first transaction was a decision that knew no other."""
        first = np.unique(card, return_index=True)[1]
        counted = self._logged[:, self._catalogue.names.index(FIRST_SEEN)]
        return np.asarray((row[first] >= 0) & (counted[row[first]] == 1))

    def _engine(self, catalogue: Catalogue, transactions: pa.Table) -> pa.Table:
        """Return the engine's answers to the decisions, in their order; null where a decision is not among them."""
        answers = HistoryFeatures(catalogue).table(transactions.drop_columns(["row"]))
        row = transactions.column("row")
        of_decisions = pc.is_valid(row)
        positions = np.full(len(self._decisions), -1)
        positions[row.filter(of_decisions).to_numpy()] = np.flatnonzero(of_decisions.to_numpy(zero_copy_only=False))
        return answers.take(pa.array(positions, mask=positions < 0))

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
