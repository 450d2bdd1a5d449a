"""What a run keeps of a candidate: parameters, figures, pictures, files and the model itself."""

from __future__ import annotations

import json
import platform
import tempfile
from dataclasses import asdict
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.models import Model, infer_signature
from mlflow.models.model import ModelInfo

from functions.train import logged_model, pictures
from functions.train.candidates import Candidate
from functions.train.dataset import Dataset
from functions.train.judged import JudgedModel
from functions.train.model_card import model_card
from functions.train.reference import ARTIFACT_PATH as REFERENCE_PATH
from functions.train.reference import reference_sample
from shared.contracts.event_time import to_rfc3339
from shared.scoring.manifest import ARTIFACT_PATH

EXAMPLE_ROWS = 5
LONGEST_TAG = 5_000
_ENVIRONMENT = ("duckdb", "mlflow", "numpy", "onnxruntime", "optuna", "pandas", "pyarrow", "scikit-learn")


def log_figures(candidate: Candidate, dataset: Dataset) -> None:
    """Log parameters, metrics, tags, the dataset and the pictures to the active run."""
    main, request_only = candidate.main, candidate.request_only
    mlflow.log_params(
        {
            **main.fitted.parameters,
            "trees": main.fitted.booster.num_boosted_rounds(),
            "features": len(main.fitted.features),
            "training_seed": candidate.seed,
            "policy_version": main.policy.version,
            "calibration": main.calibration.calibration.describe()["method"],
        }
    )
    request_metrics = {f"request_only_{name}": value for name, value in request_only.evaluation.metrics.items()}
    sizes = {f"rows_{name}": float(len(rows)) for name, rows in dataset.parts() if name != "test"}
    losses = {f"calibration_loss_{method}": loss for method, loss in main.calibration.losses.items()}
    gates = {f"gate_{gate.name}": gate.value for gate in candidate.gates}
    mlflow.log_metrics(
        {**main.evaluation.metrics, **request_metrics, **sizes, **losses, **gates, **candidate.checks}
        | thresholds(main)
        | importances(main)
    )
    mlflow.set_tags(run_tags(candidate, dataset))
    source = CodeDatasetSource({"source": dataset.source, "versions": json.dumps(dataset.versions)})
    # Abstract by annotation only: the base class declares a property that it does not need.
    described = MetaDataset(source, name=dataset.source[:500], digest=dataset.digest[:36])  # type: ignore[abstract]
    mlflow.log_input(described, context="training")
    drawn = pictures.draw(main.fitted.booster, main.test_scores, dataset.test.is_fraud, main.policy)
    for file, figure in drawn.items():
        mlflow.log_figure(figure, f"pictures/{file}")


def log_files(candidate: Candidate, dataset: Dataset) -> None:
    """Log the serving bundle, the request-only original, the reference for drift, the card and the environment."""
    with tempfile.TemporaryDirectory(prefix="training-") as name:
        folder = Path(name)
        for path in (ARTIFACT_PATH, REFERENCE_PATH, "request_only/model.ubj"):
            (folder / path).parent.mkdir(parents=True)
        (folder / ARTIFACT_PATH).write_bytes(candidate.bundle)
        candidate.request_only.fitted.booster.save_model(folder / "request_only/model.ubj")
        reference = reference_sample(candidate.main, dataset, seed=candidate.seed)
        pq.write_table(reference, folder / REFERENCE_PATH, compression="zstd")
        (folder / "model_card.md").write_text(model_card(candidate, dataset))
        (folder / "environment.json").write_text(json.dumps(environment(), indent=2))
        mlflow.log_artifacts(name)


def log_model(candidate: Candidate, dataset: Dataset) -> ModelInfo:
    """Log the model with signature and input example, loadable as XGBoost's and as ours."""
    fitted = candidate.main.fitted
    # Doubles, so that clients may send any number; the model makes them float32 again.
    values = fitted.matrix(dataset.test)[:EXAMPLE_ROWS].astype(np.float64)
    example = pd.DataFrame(values, columns=list(fitted.features))
    info: ModelInfo = Model.log(
        artifact_path=None,
        name="model",
        flavor=logged_model,
        flavor_name="xgboost",
        booster=fitted.booster,
        bundle=candidate.bundle,
        signature=infer_signature(example, candidate.main.test_scores[:EXAMPLE_ROWS]),
        input_example=example,
    )
    return info


def run_tags(candidate: Candidate, dataset: Dataset) -> dict[str, str]:
    """Return what names data, catalogue and environment of a run, and how its gates went."""
    return {
        "catalogue_version": dataset.catalogue.version,
        "catalogue_settings": json.dumps(asdict(dataset.catalogue.settings)),
        "dataset_digest": dataset.digest,
        "dataset_versions": json.dumps(dataset.versions),
        "dataset_cut": to_rfc3339(dataset.cut_ms),
        "training_data": dataset.source,
        "gates": "failed" if candidate.refusal else "passed",
        **{f"gate_{gate.name}": f"{'passed' if gate.passed else 'failed'}: {gate.message}" for gate in candidate.gates},
        **({"refused": candidate.refusal[:LONGEST_TAG]} if candidate.refusal else {}),
        "python": platform.python_version(),
        "xgboost": logged_model.xgboost_requirement(),
    }


def thresholds(judged: JudgedModel) -> dict[str, float]:
    """Return the thresholds that there are, by name."""
    named = {"decline_at": judged.policy.decline_at, "review_at": judged.policy.review_at}
    return {name: threshold for name, threshold in named.items() if threshold is not None}


def importances(judged: JudgedModel) -> dict[str, float]:
    """Return the share of each used feature in the total gain."""
    gains = judged.fitted.booster.get_score(importance_type="total_gain")
    total = sum(float(np.sum(gain)) for gain in gains.values()) or 1.0
    return {f"importance_{name}": float(np.sum(gain)) / total for name, gain in gains.items()}


def environment() -> dict[str, Any]:
    """Return what the training ran on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "xgboost": logged_model.xgboost_requirement(),
        "packages": {name: installed(name) for name in _ENVIRONMENT},
    }
