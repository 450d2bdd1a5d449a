"""Rows, datasets and examples of training, made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from functions.train.dataset import Dataset, Examples
from functions.train.labels import LabelHistory
from functions.train.rows import DAY_MS, Rows
from shared.features.catalogue import CATALOGUE

NAMES = CATALOGUE.names
FLAG = NAMES.index("is_high_risk_merchant")
START_MS = 1_756_684_800_000


def make_rows(is_fraud, *, features=None, card=None, first_id=0, event_time_ms=None, weight=None, pattern=None):
    """Rows with these labels; what is not given is plain."""
    count = len(is_fraud)
    return Rows(
        row_id=np.arange(first_id, first_id + count),
        features=np.zeros((count, 1), np.float32) if features is None else features,
        is_fraud=np.asarray(is_fraud, bool),
        card=np.arange(count) % max(count // 10, 1) if card is None else card,
        pattern=np.full(count, None, dtype=object) if pattern is None else pattern,
        event_time_ms=START_MS + np.arange(count) * 60_000 if event_time_ms is None else event_time_ms,
        amount_minor=np.full(count, 1_000),
        weight=np.ones(count) if weight is None else weight,
    )


def learnable_rows(seed, count=6_000, first_id=0):
    """Fraud where amounts are large or the card is busy, and often at high-risk merchants."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, len(NAMES))).astype(np.float32)
    features[:, FLAG] = rng.random(count) < 0.1
    signal = features[:, 0] + features[:, 1] + 2 * features[:, FLAG] + 0.3 * rng.normal(size=count)
    return make_rows(signal > 3, features=features, card=rng.integers(0, count // 10, count), first_id=first_id)


def learnable_dataset(count=6_000, **changes):
    """A dataset that a model learns easily; every purpose has rows of its own."""
    purposes = ("train", "stopping", "calibration", "policy", "test")
    parts = {name: learnable_rows(seed, count, seed * count) for seed, name in enumerate(purposes)}
    made = Dataset(
        NAMES,
        CATALOGUE,
        **parts,
        source="by hand",
        digest="0" * 64,
        cut_ms=START_MS + 90 * DAY_MS,
        count_mismatches=lambda: 0,
    )
    return replace(made, **changes)


def shuffled(rows, seed=0):
    """The rows with each other's labels."""
    return replace(rows, is_fraud=np.random.default_rng(seed).permutation(rows.is_fraud))


def make_examples(count=6_000, days=60, label_delay_days=3.0, horizon_days=14.0):
    """Ten per cent fraud over some days, each labelled after the delay."""
    time_ms = START_MS + (np.arange(count) * days * DAY_MS) // count
    frauds = np.arange(0, count, 10)
    rows = make_rows(np.arange(count) % 10 == 0, event_time_ms=time_ms)
    labels = LabelHistory(
        event_time_ms=time_ms,
        row=frauds,
        label_time_ms=time_ms[frauds] + int(label_delay_days * DAY_MS),
        is_fraud=np.ones(len(frauds), bool),
        horizon_ms=int(horizon_days * DAY_MS),
        silent=np.zeros(count, bool),
    )
    end_ms = START_MS + days * DAY_MS
    return Examples(
        names=("amount",),
        catalogue=CATALOGUE,
        rows=rows,
        labels=labels,
        cut_ms=end_ms + int(horizon_days * DAY_MS),
        start_ms=START_MS,
        end_ms=end_ms,
        source="by hand",
        count_mismatches=lambda: 0,
    )
