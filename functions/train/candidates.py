"""Models with everything that is logged and registered of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.train.dataset import Dataset
from functions.train.fit import CHALLENGER, CHAMPION, REQUEST_ONLY, Recipe, check_learned
from functions.train.judged import JudgedModel, fit_and_judge, serving_bundle
from functions.train.settings import TrainSettings

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (CHAMPION, CHALLENGER)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model ready to be logged, and the alias it is to get.

    Attributes:
        alias: Alias in the registry.
        main: The model for complete vectors.
        request_only: The model for what the request alone says.
        bundle: Their serving form.
        seed: What everything was drawn with.
        checks: Figures of the checks it passed.
    """

    alias: str
    main: JudgedModel
    request_only: JudgedModel
    bundle: bytes
    seed: int
    checks: Mapping[str, float]


def request_only_model(dataset: Dataset, seed: int, settings: TrainSettings) -> JudgedModel:
    """Make the model that answers while the feature store is away."""
    return fit_and_judge(REQUEST_ONLY, dataset, dataset.catalogue.request_only, seed=seed, settings=settings)


def make_candidate(
    alias: str, dataset: Dataset, request_only: JudgedModel, seed: int, settings: TrainSettings
) -> Candidate:
    """Make a model by the recipe of its alias.

    Raises:
        TrainingRefused: It did not learn what the training rows show.
        BundleError: Its serving form predicts something else.
    """
    main = fit_and_judge(RECIPES[alias], dataset, dataset.names, seed=seed, settings=settings)
    checks = check_learned(main.fitted, dataset)
    bundle = serving_bundle(settings.fraud_model_name, main, request_only, dataset)
    return Candidate(alias, main, request_only, bundle, seed, checks)
