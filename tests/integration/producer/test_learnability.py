"""The simulated fraud is neither trivial nor hopeless for a model on the catalogue's features."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from shared.features.catalogue import CATALOGUE, Entity
from shared.features.history import HistoryFeatures
from shared.simulation.config import DAY_MS
from shared.simulation.history import generate_history

xgboost = pytest.importorskip("xgboost")
metrics = pytest.importorskip("sklearn.metrics")


class World:
    """A simulated history with its features, split by time."""

    def __init__(self, seed: int) -> None:
        self.columns = generate_history(300_000, 90.0, start_ms=1_756_684_800_000, seed=seed)
        # DuckDB and Arrow write an unknown number as null, numpy as NaN.
        table = pa.table({name: pa.array(column, from_pandas=True) for name, column in self.columns.items()})
        table = table.rename_columns({"arrival_ms": "arrival"})
        labels = table.filter(pc.field("label_time_ms") >= 0).drop_columns("arrival")
        labels = labels.append_column("arrival", labels["label_time_ms"])
        self.features = HistoryFeatures(threads=2).table(table, labels)
        day = (self.columns["event_time_ms"] - self.columns["event_time_ms"][0]) // DAY_MS
        self.train, self.test = day < 58, day >= 65

    @property
    def fraud(self) -> Any:
        return self.columns["is_fraud"]

    @property
    def skimmed(self) -> Any:
        return self.columns["pattern"][self.test] == "compromised_merchant"

    def scores(self, names: list[str]) -> Any:
        """Scores of the test rows by a model on these features."""
        vectors = np.column_stack(
            [self.features[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in names]
        )
        model = xgboost.train(
            {"objective": "binary:logistic", "max_depth": 5, "eta": 0.08, "base_score": 0.5, "min_child_weight": 3,
             "max_bin": 512, "nthread": 2, "seed": 1},
            xgboost.DMatrix(vectors[self.train], self.fraud[self.train]),
            num_boost_round=90,
        )  # fmt: skip
        return model.predict(xgboost.DMatrix(vectors[self.test]))


def test_a_model_finds_most_fraud_and_compromised_merchants_by_their_labels_alone():
    world = World(seed=8)
    truth, skimmed = world.fraud[world.test], world.skimmed
    found = {}
    for name, names in {
        "without merchants": [one.name for one in CATALOGUE if one.entity is not Entity.MERCHANT],
        "with": list(CATALOGUE.names),
    }.items():
        score = world.scores(names)
        precision, recall, thresholds = metrics.precision_recall_curve(truth, score)
        at = np.flatnonzero(precision[:-1] >= 0.9)[0]
        found[name] = (score[skimmed] >= thresholds[at]).mean()
        assert 0.6 < metrics.average_precision_score(truth, score) < 0.88
        assert 0.55 < recall[at] < 0.82
    assert found["without merchants"] < 0.1
    assert found["with"] > 0.25
