"""Bytewax: its collecting windows, or a list per card as its state; runs in the environment of the extra `bench`.

python -m tests.benchmarks.streams.wax BOOTSTRAP TOPIC RESULTS windows|lists
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SlidingWindower, collect_window
from bytewax.testing import TestingSink, cluster_main

from tests.benchmarks.streams.results import Results
from tests.benchmarks.streams.traffic import DAY_MS, WINDOWS_MS, trailing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WAIT = timedelta(hours=2)
"""How late a transaction may come: nearly all do not come later."""
LONGEST = timedelta(milliseconds=WINDOWS_MS[-1])

Item = tuple[int, int, str, str]
"""Event time in milliseconds, amount, id, card."""


def items(bootstrap: str, topic: str) -> tuple[Dataflow, Any]:
    """The transactions by card."""
    flow = Dataflow("cards")
    messages = op.input("kafka", flow, KafkaSource([bootstrap], [topic], tail=False, batch_size=1000))

    def parsed(message: Any) -> tuple[str, Item]:
        value = orjson.loads(message.value)
        time_ms = round(datetime.fromisoformat(value["timestamp"]).timestamp() * 1000)
        amount = round(float(value["amount"]) * 100)
        return value["card_id"], (time_ms, amount, value["transaction_id"], value["card_id"])

    return flow, op.map("parse", messages, parsed)


def with_windows(keyed: Any, results: Results) -> Any:
    """Windows of two days every day: each transaction of the second day has its whole last day in one of them."""

    def time_of(item: Item) -> datetime:
        time_ms, _, _, card = item
        results.taken_in(card, time_ms)
        return EPOCH + timedelta(milliseconds=time_ms)

    clock = EventClock(time_of, wait_for_system_duration=WAIT)
    windower = SlidingWindower(length=2 * LONGEST, offset=LONGEST, align_to=EPOCH)
    windows = collect_window("last days", keyed, clock, windower)

    def answered(closed: tuple[str, tuple[int, list[Item]]]) -> Iterator[str]:
        _, (window, collected) = closed
        in_order = sorted(collected)
        times = [(time_ms, amount) for time_ms, amount, _, _ in in_order]
        second_day = (window + 1) * DAY_MS
        for time_ms, _, identity, card in in_order:
            if time_ms >= second_day:
                results.answered(card, identity, time_ms, list(trailing(times, time_ms)))
                yield identity

    return op.flat_map("answer", windows.down, answered)


def with_lists(keyed: Any, results: Results) -> Any:
    """What one writes by hand where the windows are too late: a sorted list per card as the state of a map."""

    def answered(of_card: list[tuple[int, int]] | None, item: Item) -> tuple[list[tuple[int, int]], str]:
        time_ms, amount, identity, card = item
        results.taken_in(card, time_ms)
        known = [] if of_card is None else of_card
        bisect.insort(known, (time_ms, amount))
        results.answered(card, identity, time_ms, list(trailing(known, time_ms)))
        return known, identity

    return op.stateful_map("answer", keyed, answered)


def main() -> None:
    """Take in the topic and leave the results."""
    bootstrap, topic, path, way = sys.argv[1:]
    results = Results()
    flow, keyed = items(bootstrap, topic)
    done = (with_windows if way == "windows" else with_lists)(keyed, results)
    op.output("out", done, TestingSink([]))
    cluster_main(flow, [], 0, worker_count_per_proc=1)
    results.write(Path(path))


if __name__ == "__main__":
    main()
