"""Where XGBoost trains: on a GPU when the build and a device are there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Literal

import numpy as np
import xgboost

from functions.train.errors import TrainingRefused

log = logging.getLogger(__name__)

Wanted = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]


def built_for_cuda() -> bool:
    """Whether this XGBoost can use a GPU at all."""
    return bool(xgboost.build_info().get("USE_CUDA"))


def device_answers() -> bool:
    """Whether a GPU does a small training: XGBoost falls back to the processor where there is none."""
    tiny = xgboost.DMatrix(np.arange(8, dtype=np.float32).reshape(4, 2), label=[0, 1, 0, 1])
    try:
        booster = xgboost.train({"device": "cuda", "tree_method": "hist"}, tiny, 1)
    except xgboost.core.XGBoostError as error:
        log.info("training: the GPU does not work: %s", str(error).splitlines()[0])
        return False
    used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    return str(used).startswith("cuda")


def choose_device(
    wanted: Wanted, *, build: Callable[[], bool] = built_for_cuda, answers: Callable[[], bool] = device_answers
) -> Device:
    """Return the device to train on, and say in the log why.

    Args:
        wanted: The setting.
        build: Whether the build knows GPUs.
        answers: Whether there is one that works; asked only of a build that knows them.

    Raises:
        TrainingRefused: A GPU is demanded and there is none.
    """
    if wanted == "cpu":
        log.info("training: on the processor, as set")
        return "cpu"
    missing = "this build of XGBoost knows no GPU" if not build() else None if answers() else "no GPU answers"
    if missing is None:
        log.info("training: on the GPU")
        return "cuda"
    if wanted == "cuda":
        raise TrainingRefused(f"a GPU is demanded, and {missing}")
    log.info("training: on the processor: %s", missing)
    return "cpu"
