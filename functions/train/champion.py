"""The champion's scores of the rows that a new model is judged on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from functions.train.dataset import Dataset
from functions.train.rows import Floats
from shared.registry.client import ModelVersion, RegistryClient
from shared.scoring.bundle import read_bundle

ScoreTest = Callable[[Dataset], Floats]


def champion_scores(client: RegistryClient, champion: ModelVersion) -> ScoreTest:
    """Return what scores the test rows of a dataset as the scorer with this champion would.

    Raises:
        RegistryUnavailable: The registry does not answer.
        BundleError: The champion cannot be read.
    """
    served = read_bundle(client.download_bundle(champion)).main

    def score(dataset: Dataset) -> Floats:
        position = {name: index for index, name in enumerate(dataset.names)}
        rows = dataset.test.features
        matrix = np.full((len(rows), len(served.features)), np.nan, np.float32)
        for index, name in enumerate(served.features):
            # What the dataset lacks is missing for the champion too.
            if name in position:
                matrix[:, index] = rows[:, position[name]]
        return served.predictor.score(matrix)

    return score
