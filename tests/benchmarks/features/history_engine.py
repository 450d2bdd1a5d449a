"""Speed and memory of the history engine, on a file made with the project's generator."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from shared.features.history import HistoryFeatures
from shared.simulation.history import generate_history
from tests.benchmarks.figure import Figure

T = TypeVar("T")

_TRANSACTIONS = 1_750_000
_DAYS = 183.0
_START_MS = 1_767_225_600_000
_NOT_INPUT = {"duplicate_ms", "label_time_ms"}


def write_history(target: Path, transactions: int) -> None:
    """A history of so many transactions as a Parquet file, in order of event time."""
    columns = generate_history(transactions, _DAYS, start_ms=_START_MS, seed=7)
    arrays = {
        name: pa.array(values, from_pandas=True)
        for name, values in columns.items()
        if name not in _NOT_INPUT and name != "arrival_ms"
    }
    pq.write_table(pa.table(arrays | {"arrival": pa.array(columns["arrival_ms"])}), target, compression="zstd")


def history(folder: Path) -> list[Figure]:
    """Features of the whole file, file to file, on two threads."""
    source, target = folder / "history.parquet", folder / "features.parquet"
    _apart(write_history, source, _TRANSACTIONS)
    seconds, peak = _apart(_compute, source, target, folder)
    rows = pq.read_metadata(target).num_rows
    cards, merchants = (
        len(pq.read_table(source, columns=[name]).column(name).unique()) for name in ("card_id", "merchant_id")
    )
    how = f"{rows:,} transactions, {cards:,} cards, {merchants:,} merchants, {_DAYS:g} days, Parquet to Parquet"
    return [
        Figure(
            name="history engine", value=round(seconds, 1), unit="s", bound="<=", target=15.0, how=f"{how}, 2 threads"
        ),
        Figure(
            name="history engine, peak memory",
            value=round(peak, 2),
            unit="GB",
            bound="<=",
            target=3.0,
            how="resident set of its process, memory_limit 2 GB",
        ),
    ]


def _compute(source: Path, target: Path, folder: Path) -> tuple[float, float]:
    """Seconds taken and the peak resident set in GB."""
    engine = HistoryFeatures(threads=2, memory_limit="2GB", spill_folder=folder / "spill")
    started = time.perf_counter()
    engine.write(source, target)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _apart(work: Callable[..., T], *arguments: object) -> T:
    """Call a function in a fresh process, whose peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)
