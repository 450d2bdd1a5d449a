"""Measures the feature engines: `python -m tests.benchmarks.features`, or `make bench-features`.

It starts a Valkey of its own and needs no running system. Figures are reported, never asserted: they belong to a
machine and to how busy it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from shared.cli.output import console, print_json
from tests.benchmarks.features import extremes, sizes
from tests.benchmarks.features.history_engine import history
from tests.benchmarks.features.http_decision import tail
from tests.benchmarks.features.sizes import SIZES, Cost
from tests.benchmarks.features.store import store
from tests.benchmarks.figure import Figure, machine


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.features", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--calls", type=int, default=1_200, help="timed calls of each size and spread (default 1200)")
    parser.add_argument("--quick", action="store_true", help="one size of card alone")
    arguments = parser.parse_args()
    size = machine()
    with tempfile.TemporaryDirectory(prefix="fraud-bench-") as name:
        costs, figures = _measure(Path(name), arguments.calls, quick=arguments.quick)
    size["load_average_after"] = [round(one, 2) for one in os.getloadavg()]
    if arguments.json:
        document = {"machine": size, "cards": [cost.document() for cost in costs]}
        print_json(document | {"figures": [figure.document() for figure in figures]})
    else:
        _print(size, costs, figures)
    return 0


def _measure(folder: Path, calls: int, *, quick: bool) -> tuple[list[Cost], list[Figure]]:
    remarks = console(stderr=True)
    with store(folder / "online") as server:
        remarks.print("cards of every size and spread", style="dim")
        costs = sizes.measure(server, SIZES[3:4] if quick else SIZES, calls)
        figures = sizes.figures(costs)
        if quick:
            return costs, [*figures, extremes.longest_call(server)]
        remarks.print("many cities, a very large card, throughput", style="dim")
        figures += [extremes.many_cities(server), extremes.hundred_thousand(server)]
        figures += [extremes.calls_per_core(server, seconds=3.0), extremes.longest_call(server)]
        remarks.print("decisions over HTTP", style="dim")
        figures.append(tail(server, folder / "scorer", calls))
    remarks.print("history engine", style="dim")
    return costs, figures + history(folder)


def _print(size: dict[str, Any], costs: list[Cost], figures: list[Figure]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where a table is drawn

    out = console()
    before, after = size["load_average_before"][0], size["load_average_after"][0]
    out.print(
        f"{size['processor']}, {size['cores']} cores, {size['memory_gb']} GB, {size['system']}, "
        f"Python {size['python']}; load average before {before}, after {after}"
    )
    cards = Table("card", "server p50", "p99", "max us", "round trip p50", "p99 us", "B/transaction")
    for cost in costs:
        cards.add_row(*(f"{value:,}" if not isinstance(value, str) else value for value in cost.document().values()))
    out.print(cards)
    table = Table("what", "measured", "target", "met", "how")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:,g} {figure.unit}",
            f"{figure.bound} {figure.target:,g} {figure.unit}",
            "[green]yes[/]" if figure.met else "[red]no[/]",
            figure.how,
        )
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
