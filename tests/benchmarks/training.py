"""Measures one fit on 1.75 million transactions: `make bench-train`.

The history and its features are made first, in a process of their own, and kept in the folder that is named; the fit is
measured alone, as the training does it: quantised rows, the champion's recipe, early stopping on the last tenth, and
then the final trees out of all rows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from functions.train.dataset import Dataset
from functions.train.fit import fit
from functions.train.recipe import CHAMPION
from functions.train.rows import Rows
from functions.train.simulated import SimulatedHistory
from shared.features.catalogue import CATALOGUE

TRANSACTIONS = 1_750_000
DAYS = 180.0
SEED = 7
TARGET_SECONDS = 120
TARGET_GB = 4


def prepare(folder: Path) -> None:
    """Simulate the history, compute the features and keep the rows."""
    started = time.monotonic()
    examples = SimulatedHistory(SEED, TRANSACTIONS, DAYS, 0).examples()
    rows = examples.rows
    np.savez(folder / "rows.npz", features=rows.features, is_fraud=rows.is_fraud, time_ms=rows.event_time_ms)
    print(
        f"history and {len(examples.names)} features of {len(rows):,} transactions: {time.monotonic() - started:.0f} s"
    )


def measure(folder: Path) -> None:
    """Fit once and print seconds and peak memory of this process."""
    with np.load(folder / "rows.npz") as saved:
        features, is_fraud, time_ms = saved["features"], saved["is_fraud"], saved["time_ms"]
    count = len(is_fraud)
    nobody = np.full(count, None, dtype=object)
    numbers = np.arange(count)
    rows = Rows(numbers, features, is_fraud, numbers, nobody, time_ms, numbers, np.ones(count))
    stopping = rows.take(numbers >= int(0.9 * count))
    rows = rows.take(numbers < int(0.9 * count))
    parts = dict.fromkeys(("stopping", "calibration", "policy", "test"), stopping)
    dataset = Dataset(
        CATALOGUE.names,
        CATALOGUE,
        train=rows,
        **parts,
        source="benchmark",
        digest="",
        cut_ms=0,
        count_mismatches=lambda: 0,
    )
    started = time.monotonic()
    model = fit(CHAMPION, dataset, dataset.names, seed=SEED, threads=0)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{model.booster.num_boosted_rounds()} trees and up to {CHAMPION.patience} tried beyond, then as many again on "
        f"all {count:,} rows of {len(CATALOGUE)} features: {seconds:.1f} s (target {TARGET_SECONDS} s), peak memory "
        f"{peak:.2f} GB (target {TARGET_GB} GB)"
    )


def main() -> int:
    """Prepare what is not there yet, and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the rows are kept")
    parser.add_argument("--prepare", action="store_true", help="only make the rows")
    parser.add_argument("--fit", action="store_true", help="only measure")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.prepare:
        prepare(arguments.folder)
    elif arguments.fit:
        measure(arguments.folder)
    else:
        command = [sys.executable, "-m", "tests.benchmarks.training", str(arguments.folder)]
        if not (arguments.folder / "rows.npz").exists():
            subprocess.run([*command, "--prepare"], check=True)
        subprocess.run([*command, "--fit"], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
