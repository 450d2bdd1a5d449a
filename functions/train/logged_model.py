"""The MLflow form of a model: XGBoost's flavor for whoever studies it, our own score for whoever serves it.

`Model.log` takes this module for a flavor. What it saves loads as `mlflow.xgboost` (the booster as it was grown) and as
`mlflow.pyfunc` (the serving bundle: booster and calibration, by the scorer's code, which is saved beside it).
"""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from importlib.resources import files
from pathlib import Path
from typing import Any

import mlflow.xgboost
import xgboost
from mlflow import pyfunc
from mlflow.models import Model

LOADER = "shared.scoring.pyfunc"
BUNDLE = "bundle.zip"
CODE = "code"
_PACKAGES = ("mlflow", "numpy", "pandas", "onnxruntime", "orjson")


def xgboost_requirement() -> str:
    """Return the pinned XGBoost, by whichever name its build is installed."""
    for name in ("xgboost-cpu", "xgboost"):
        try:
            return f"{name}=={installed(name)}"
        except PackageNotFoundError:
            continue
    return f"xgboost=={xgboost.__version__}"


def requirements() -> list[str]:
    """Return what serving the model needs; named here because inferring it takes longer than the training."""
    return [*(f"{name}=={installed(name)}" for name in _PACKAGES), xgboost_requirement()]


def save_model(path: str, mlflow_model: Model, *, booster: xgboost.Booster, bundle: bytes, **options: Any) -> None:
    """Save a model into a folder.

    Args:
        path: The folder, which must not exist.
        mlflow_model: Its description.
        booster: XGBoost's model.
        bundle: Its serving form.
        options: Signature and input example, as `mlflow.xgboost.save_model` takes them.
    """
    mlflow.xgboost.save_model(booster, path, mlflow_model=mlflow_model, pip_requirements=requirements(), **options)
    folder = Path(path)
    (folder / BUNDLE).write_bytes(bundle)
    package = folder / CODE / "shared"
    for name in ("", "scoring"):
        (package / name).mkdir(parents=True)
        for module in files(f"shared.{name}".rstrip(".")).iterdir():
            if module.name.endswith(".py"):
                shutil.copy(str(module), package / name / module.name)
    mlflow_model.flavors[pyfunc.FLAVOR_NAME] |= {"loader_module": LOADER, "data": BUNDLE, "code": CODE}
    mlflow_model.save(str(folder / "MLmodel"))
