"""Declines stop the transaction, and with it the label: how the control group stands for them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from functions.train.rows import Bools, Floats

CONTROL = "control"
PROPENSITY = "propensity"


def fair_sample(decisions: pa.Table) -> tuple[pa.Table, Floats, Bools]:
    """Return decisions that speak for all, how many each stands for, and where no chargeback can come.

    A share of the would-be declines may be let through as a control group. Where there is one, its rows stand for all
    would-be declines, weighted by the inverse of their chance to be let through (Horvitz and Thompson 1952), and the
    declined ones are left out. Where there is none, a declined transaction counts only when somebody labelled it.

    Args:
        decisions: With `decision`; `control` (bool) and `propensity` (chance to be let through) where there are any.

    Returns:
        The decisions, their weights [n], and [n] where the absence of a label means nothing.

    Raises:
        ValueError: A control row has no propensity between 0 and 1.
    """
    declined = np.asarray(decisions.column("decision").to_numpy(zero_copy_only=False) == "decline")
    if CONTROL not in decisions.column_names:
        return decisions, np.ones(len(decisions)), declined
    control = np.asarray(decisions.column(CONTROL).fill_null(False).to_numpy(zero_copy_only=False), bool)
    if not control.any():
        return decisions, np.ones(len(decisions)), declined
    chance = decisions.column(PROPENSITY).to_numpy(zero_copy_only=False).astype(np.float64)
    if not ((chance[control] > 0) & (chance[control] <= 1)).all():
        raise ValueError("a control decision needs a propensity in (0, 1]")
    kept = control | ~declined
    weight = np.where(control, 1 / np.where(control, chance, 1.0), 1.0)
    return decisions.filter(pa.array(kept)), weight[kept], np.zeros(int(kept.sum()), bool)
