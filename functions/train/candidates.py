"""Models with everything that is logged and registered of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from functions.train.dataset import Dataset
from functions.train.errors import TrainingRefused
from functions.train.fit import LEAST_TRAIN_AUC, check_learned
from functions.train.gates import Gate, check_gates, failed
from functions.train.judged import JudgedModel, fit_and_judge, serving_bundle
from functions.train.recipe import REQUEST_ONLY, Recipe
from functions.train.rows import Floats
from functions.train.search import search
from functions.train.settings import TrainSettings
from functions.train.stages import stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model ready to be logged, and the alias it is to get if it passed its gates.

    Attributes:
        alias: Alias in the registry.
        main: The model for complete vectors.
        request_only: The model for what the request alone says.
        bundle: Their serving form.
        seed: What everything was drawn with.
        checks: Figures of the checks it passed.
        gates: Its gates.
    """

    alias: str
    main: JudgedModel
    request_only: JudgedModel
    bundle: bytes
    seed: int
    checks: Mapping[str, float]
    gates: tuple[Gate, ...]

    @property
    def refusal(self) -> str:
        """Why it must not follow the champion; empty when it may."""
        return failed(self.gates)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes candidates of one dataset.

    Attributes:
        dataset: What they learn from.
        settings: Of the training.
        seed: Of everything that is drawn.
        device: Where XGBoost trains.
        parity_mismatches: Feature values of the dataset that the history engine contradicts.
    """

    dataset: Dataset
    settings: TrainSettings
    seed: int
    device: str
    parity_mismatches: int

    def request_only(self) -> JudgedModel:
        """Make the model that answers while the feature store is away."""
        names = tuple(name for name in self.dataset.catalogue.request_only if name in self.dataset.names)
        with stage("fit the request-only model"):
            return fit_and_judge(
                REQUEST_ONLY, self.dataset, names, seed=self.seed, settings=self.settings, device=self.device
            )

    def candidate(
        self,
        alias: str,
        recipe: Recipe,
        request_only: JudgedModel,
        *,
        trials: int = 0,
        champion_scores: Floats | None = None,
    ) -> Candidate:
        """Make a model, searching for its parameters first, and let it through the gates.

        Args:
            alias: Alias in the registry.
            recipe: How it is grown, or where the search starts.
            request_only: Its companion.
            trials: Of the search.
            champion_scores: The champion's scores of the test rows, if there is a champion.

        Raises:
            BundleError: Its serving form predicts something else.
        """
        dataset, seed = self.dataset, self.seed
        with stage(f"fit the {alias}"):
            found = search(
                recipe,
                dataset,
                dataset.names,
                trials=trials,
                seed=seed,
                threads=self.settings.fraud_training_threads,
                device=self.device,
            )
            main = fit_and_judge(found, dataset, dataset.names, seed=seed, settings=self.settings, device=self.device)
        figures = main.evaluation.metrics
        log.info(
            "training: the %s has average precision %.4f",
            alias,
            figures["average_precision"],
            extra={"metrics": figures},
        )
        learned, checks = _learned(main, dataset)
        gates = check_gates(
            main.evaluation,
            main.test_scores,
            dataset.test,
            champion_scores=champion_scores,
            parity_mismatches=self.parity_mismatches,
            settings=self.settings,
            seed=seed,
        )
        gates = (learned, *gates)
        for gate in gates:
            log.info("training: %s gate %s: %s", gate.name, "passed" if gate.passed else "failed", gate.message)
        bundle = serving_bundle(self.settings.fraud_model_name, main, request_only, dataset)
        return Candidate(alias, main, request_only, bundle, seed, checks, gates)


def _learned(main: JudgedModel, dataset: Dataset) -> tuple[Gate, dict[str, float]]:
    """Return whether a model learned what its training rows show, as a gate, and the figures."""
    try:
        checks = check_learned(main.fitted, dataset)
    except TrainingRefused as reason:
        return Gate("learned", passed=False, value=0.0, bound=LEAST_TRAIN_AUC, message=str(reason)), {}
    auc = checks["train_roc_auc"]
    return Gate(
        "learned", passed=True, value=auc, bound=LEAST_TRAIN_AUC, message=f"the training AUC is {auc:.3f}"
    ), checks
