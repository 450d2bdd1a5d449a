"""Measures this system beside Quix Streams and Bytewax: `make bench-streams`.

One stream of transactions, some late, waits in a broker of the run's own; each contender takes it in alone on the
machine. Values are number, sum and mean of a card's amounts in the last 10 minutes, hour and day, at each transaction.
They are compared with what is right when the transaction arrives and with what is right when all of it is known.
Figures are reported, never asserted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from shared.cli.output import console, print_json
from tests.benchmarks.figure import machine
from tests.benchmarks.streams.contest import Contest, Row
from tests.support.delivery.kafka import EmbeddedKafka, free_pair
from tests.support.features.valkey import valkey


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.streams", description=__doc__)
    parser.add_argument("--others", type=Path, required=True, help="Python with the extra `bench`")
    parser.add_argument("--events", type=int, default=60_000, help="transactions in the stream (default 60,000)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    remarks = console(stderr=True)
    size = machine()
    with tempfile.TemporaryDirectory(prefix="bench-streams-", ignore_cleanup_errors=True) as name, valkey() as port:
        kafka = EmbeddedKafka(Path(name) / "kafka", free_pair())
        kafka.start()
        try:
            contest = Contest(kafka, Path(name), arguments.events, arguments.others)
            remarks.print("this system", style="dim")
            rows = [contest.ours(port)]
            for contender in contest.others:
                remarks.print(contender, style="dim")
                rows.append(contest.other(contender))
        finally:
            kafka.stop()
    size["load_average_after"] = [round(one, 2) for one in os.getloadavg()]
    if arguments.json:
        print_json({"machine": size, "events": arguments.events, "rows": [asdict(row) for row in rows]})
    else:
        _print(size, arguments.events, rows)
    return 0


def _print(size: dict[str, object], events: int, rows: list[Row]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where a table is drawn

    out = console()
    out.print(
        f"{size['processor']}, {size['cores']} cores, Python {size['python']}; load average "
        f"{size['load_average_before']} before, {size['load_average_after']} after; {events:,} transactions"
    )
    table = Table(
        "who",
        "per second",
        "answered",
        "wrong at arrival",
        "wrong in the end",
        "behind, h: median / most",
        "age, ms: p50 / p99",
    )
    for row in rows:
        behind, age = row.behind_hours, row.age_ms
        table.add_row(
            row.name,
            f"{row.per_second:,.0f}",
            f"{row.answered:,}",
            f"{row.wrong_at_arrival:,} ({100 * row.wrong_at_arrival / events:.2f} %)",
            f"{row.wrong_at_end:,} ({100 * row.wrong_at_end / events:.2f} %)",
            f"{behind[0]:.1f} / {behind[1]:.1f}",
            "-" if age is None else f"{age[0]:.1f} / {age[1]:.1f}",
        )
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
