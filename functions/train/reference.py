"""The reference for drift: what the champion saw, scored and decided when it was judged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from functions.train.dataset import Dataset
from functions.train.judged import JudgedModel

ARTIFACT_PATH = "reference/reference.parquet"
MOST_ROWS = 20_000


def reference_sample(judged: JudgedModel, dataset: Dataset, *, seed: int) -> pa.Table:
    """Return up to 20,000 rows of threshold and test rows, drawn evenly, in event-time order.

    Columns are `event_time_ms`, `f_<feature>` (float32, null is missing), `score`, `decision`, and `weight`: how many
    transactions a row stands for.
    """
    scored = ((dataset.policy, judged.scores(dataset.policy)), (dataset.test, judged.test_scores))
    features = np.vstack([rows.features for rows, _ in scored])
    scores = np.concatenate([scores for _, scores in scored])
    time_ms = np.concatenate([rows.event_time_ms for rows, _ in scored])
    weight = np.concatenate([rows.weight for rows, _ in scored])
    count = min(MOST_ROWS, len(scores))
    drawn = np.sort(np.random.default_rng(seed).choice(len(scores), count, replace=False))
    columns = {"event_time_ms": pa.array(time_ms[drawn])}
    for index, name in enumerate(dataset.names):
        columns[f"f_{name}"] = pa.array(features[drawn, index], from_pandas=True)
    columns["score"] = pa.array(scores[drawn])
    columns["decision"] = pa.array([judged.policy.decide(score) for score in scores[drawn].tolist()])
    columns["weight"] = pa.array(weight[drawn])
    return pa.table(columns)
