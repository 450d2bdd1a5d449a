"""Measures the feature engines: `python -m tests.benchmarks.features`, or `make bench-features`.

It starts a Valkey of its own and needs no running system. Figures are reported, never asserted: they belong to a
machine and to how busy it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from shared.cli.output import console, print_json
from tests.benchmarks.features import extremes, sizes
from tests.benchmarks.features.history_engine import history
from tests.benchmarks.features.http_decision import tail
from tests.benchmarks.features.sizes import SIZES, Cost
from tests.benchmarks.features.store import store
from tests.benchmarks.figure import Figure, headline, machine, table

_PARTS = ("cards", "extremes", "http", "history")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.features", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--calls", type=int, default=1_200, help="timed calls of each size and spread (default 1200)")
    parser.add_argument("--quick", action="store_true", help="one size of card alone")
    parser.add_argument("--only", choices=_PARTS, action="append", help="measure this alone; may be repeated")
    arguments = parser.parse_args()
    size = machine()
    with tempfile.TemporaryDirectory(prefix="fraud-bench-") as name:
        only = {"cards"} if arguments.quick else set(arguments.only or _PARTS)
        costs, figures = _measure(Path(name), arguments.calls, SIZES[3:4] if arguments.quick else SIZES, only)
    size["load_average_after"] = [round(one, 2) for one in os.getloadavg()]
    if arguments.json:
        document = {"machine": size, "cards": [cost.document() for cost in costs]}
        print_json(document | {"figures": [figure.document() for figure in figures]})
    else:
        _print(size, costs, figures)
    return 0


def _measure(folder: Path, calls: int, card_sizes: Sequence[int], only: set[str]) -> tuple[list[Cost], list[Figure]]:
    remarks = console(stderr=True)
    costs: list[Cost] = []
    figures: list[Figure] = []
    if only != {"history"}:
        with store(folder / "online") as server:
            if "cards" in only:
                remarks.print("cards of every size and spread", style="dim")
                costs = sizes.measure(server, card_sizes, calls)
                figures += sizes.figures(costs)
            if "extremes" in only:
                remarks.print("many cities, a very large card, throughput", style="dim")
                figures += [extremes.many_cities(server), extremes.hundred_thousand(server)]
                figures.append(extremes.calls_per_core(server, seconds=3.0))
            figures.append(extremes.longest_call(server))
            if "http" in only:
                remarks.print("decisions over HTTP", style="dim")
                figures.append(tail(server, folder / "scorer", calls))
    if "history" in only:
        remarks.print("history engine", style="dim")
        figures += history(folder)
    return costs, figures


def _print(size: dict[str, Any], costs: list[Cost], figures: list[Figure]) -> None:
    out = console()
    out.print(headline(size))
    cards = Table("card", "server p50", "p99", "max us", "round trip p50", "p99 us", "B/transaction")
    for cost in costs:
        cards.add_row(*(f"{value:,}" if not isinstance(value, str) else value for value in cost.document().values()))
    if costs:
        out.print(cards)
    out.print(table(figures))


if __name__ == "__main__":
    sys.exit(main())
