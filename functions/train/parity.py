"""The parity check of a training: do its vectors say what was known at the time, and no more?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from functions.train.rows import Bools, Ints, numbered
from functions.train.vectors import matrix_of
from shared.features.catalogue import Catalogue, Entity
from shared.features.history import HistoryFeatures
from shared.scoring.predictor import Matrix

SAMPLED_ROWS = 10_000


def differing_values(left: Matrix, right: Matrix) -> int:
    """Count the values that differ between two matrices of one shape; missing equals missing."""
    return int(((left != right) & ~(np.isnan(left) & np.isnan(right))).sum())


def card_features(catalogue: Catalogue) -> Catalogue:
    """Return the features that can be recomputed from some cards alone."""
    return Catalogue(tuple(f for f in catalogue if f.entity is not Entity.MERCHANT), catalogue.settings)


def some_cards(card: Ints, eligible: Bools) -> Bools:
    """Choose cards so that about 10,000 rows are theirs, the same ones each time.

    Args:
        card: Card of each row, as numbers from 0 on.
        eligible: For each card, whether it may be chosen.
    """
    rows = int(eligible[card].sum())
    share = min(1.0, SAMPLED_ROWS / max(rows, 1))
    return np.asarray(eligible & (np.random.default_rng(0).random(len(eligible)) < share))


def sampled_mismatches(history: pa.Table, features: Matrix, catalogue: Catalogue) -> int:
    """Recompute the vectors of some cards as of the middle of their history, and count the values that differ.

    What happens after the middle is withheld, so a value that knows of it differs, and so does one that knows a label.
    Features that look at other cards' transactions are not compared.

    Args:
        history: Transactions as :class:`shared.features.history.HistoryFeatures` reads them, without labels.
        features: float32 [n, f], their vectors in training.
        catalogue: Where the vectors come from.
    """
    compared = card_features(catalogue)
    card = numbered(history.column("card_id").to_numpy(zero_copy_only=False))
    chosen = some_cards(card, np.ones(int(card.max()) + 1, bool))[card]
    known_at = history.column("arrival" if "arrival" in history.column_names else "event_time_ms").to_numpy()
    rows = np.flatnonzero(chosen & (known_at <= np.median(known_at)))
    again = HistoryFeatures(compared, threads=1).table(history.take(pa.array(rows)))
    columns = [catalogue.names.index(name) for name in compared.names]
    return differing_values(features[rows][:, columns], matrix_of(again, compared.names))
