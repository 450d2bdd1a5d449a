"""The simulated fraud is neither trivial nor hopeless for a model on the catalogue's features."""

import numpy as np
import pyarrow as pa
import pytest

from shared.features.catalogue import CATALOGUE
from shared.features.history import HistoryFeatures
from shared.simulation.config import DAY_MS
from shared.simulation.history import generate_history

xgboost = pytest.importorskip("xgboost")
metrics = pytest.importorskip("sklearn.metrics")


def test_a_model_finds_most_fraud_at_ninety_percent_precision_but_not_all():
    columns = generate_history(300_000, 90.0, start_ms=1_756_684_800_000, seed=7)
    # DuckDB and Arrow write an unknown number as null, numpy as NaN.
    table = pa.table({name: pa.array(column, from_pandas=True) for name, column in columns.items()})
    features = HistoryFeatures(threads=2).table(table.rename_columns({"arrival_ms": "arrival"}))
    vectors = np.column_stack([features[n].to_numpy(zero_copy_only=False).astype(np.float32) for n in CATALOGUE.names])
    fraud = columns["is_fraud"]
    day = (columns["event_time_ms"] - columns["event_time_ms"][0]) // DAY_MS
    train, test = day < 58, day >= 65

    model = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 5, "eta": 0.08, "base_score": 0.5, "min_child_weight": 3,
         "max_bin": 512, "nthread": 2, "seed": 1},
        xgboost.DMatrix(vectors[train], fraud[train]),
        num_boost_round=90,
    )  # fmt: skip
    score = model.predict(xgboost.DMatrix(vectors[test]))
    precision, recall, thresholds = metrics.precision_recall_curve(fraud[test], score)
    at = np.flatnonzero(precision[:-1] >= 0.9)[0]

    assert 0.6 < metrics.average_precision_score(fraud[test], score) < 0.87
    assert 0.55 < recall[at] < 0.82
    skimmed = score[columns["pattern"][test] == "compromised_merchant"]
    assert (skimmed >= thresholds[at]).mean() < 0.1  # visible only in labels
