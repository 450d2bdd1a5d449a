"""Measures the running system: `python -m tests.benchmarks`, or `make bench`.

It starts one scorer replica of its own beside the system and sends it load; decisions of these made-up transactions
reach the system's topics and feature store like any others. Figures are reported, never asserted: they belong to a
machine and to how busy it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from shared.cli.output import CommandFailed, console, print_json
from shared.cli.stack_settings import StackSettings
from shared.cli.stack_state import StackState, running_stack
from tests.benchmarks import measures
from tests.benchmarks.figure import Figure, headline, machine, table
from tests.benchmarks.lone_replica import scorer_alone


def main() -> int:
    """Measure and print; 1 when no system runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one run of load (default 5)")
    arguments = parser.parse_args()
    try:
        state = running_stack()
    except CommandFailed as reason:
        sys.stderr.write(f"{reason}\nThe benchmarks measure a running system: `make up` first.\n")
        return 1
    if state.phase != "running":
        sys.stderr.write(f"the system under {state.home} is {state.phase}, not running yet\n")
        return 1
    size = machine()
    figures = _measure(state, arguments.seconds)
    size["load_average_after"] = [round(one, 2) for one in os.getloadavg()]
    if arguments.json:
        print_json({"machine": size, "figures": [figure.document() for figure in figures]})
    else:
        out = console()
        out.print(headline(size))
        out.print(table(figures))
    return 0


def _measure(state: StackState, seconds: float) -> list[Figure]:
    remarks = console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="fraud-bench-") as name:
        folder = Path(name)
        manifests = scorer_alone(StackSettings().manifests, folder / "manifests")
        remarks.print("memory, prediction", style="dim")
        figures = [measures.memory(state), measures.prediction(state)]
        remarks.print("cold starts", style="dim")
        figures.append(measures.cold_start(state, manifests, folder))
        remarks.print("load", style="dim")
        return [*measures.serving(state, manifests, folder, seconds), *figures]


if __name__ == "__main__":
    sys.exit(main())
