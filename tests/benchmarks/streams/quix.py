"""Quix Streams: its sliding windows, or a list per card in its state; runs in the environment of the extra `bench`.

python -m tests.benchmarks.streams.quix BOOTSTRAP TOPIC RESULTS windows|lists
"""

from __future__ import annotations

import bisect
import logging
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Count, Mean, Sum

from tests.benchmarks.streams.results import Results
from tests.benchmarks.streams.traffic import DAY_MS, WINDOWS_MS, trailing

GRACE_MS = DAY_MS
"""As late as any transaction of the stream may come."""
QUIET_SECONDS = 5.0
"""The topic is taken to be at its end when nothing has come for so long."""


def time_of(value: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(value["timestamp"]).timestamp() * 1000)


class Joined:
    """Puts the answers of the three windows to one transaction together; card and time tell which it is."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._waiting: dict[tuple[str, int], tuple[str, dict[int, list[Any]]]] = {}

    def taken_in(self, value: dict[str, Any]) -> None:
        card, time_ms = value["card_id"], time_of(value)
        self._results.taken_in(card, time_ms)
        self._waiting[card, time_ms] = value["transaction_id"], {}

    def part(self, card: str, length: int, value: dict[str, Any]) -> None:
        identity, parts = self._waiting.get((card, value["end"]), (None, {}))
        if identity is None:
            return  # an older transaction's window, brought up to date
        parts.setdefault(length, [value["number"], value["total"], value["mean"]])
        if len(parts) == len(WINDOWS_MS):
            joined = [one for window in WINDOWS_MS for one in parts[window]]
            self._results.answered(card, identity, value["end"], joined)
            del self._waiting[card, value["end"]]


def with_windows(frame: Any, results: Results) -> None:
    """A sliding window for each length; Quix's include both ends, so each is a millisecond shorter."""
    joined = Joined(results)

    def taken_in(value: dict[str, Any]) -> dict[str, Any]:
        joined.taken_in(value)
        return {"amount": round(float(value["amount"]) * 100)}

    def noting(length: int) -> Callable[..., None]:
        def emitted(value: dict[str, Any], key: Any, *_: Any) -> None:
            joined.part(key.decode() if isinstance(key, bytes) else key, length, value)

        return emitted

    frame = frame.apply(taken_in)
    for length in WINDOWS_MS:
        windows = frame.sliding_window(duration_ms=length - 1, grace_ms=GRACE_MS, name=f"last-{length}")
        answers = windows.agg(number=Count(), total=Sum("amount"), mean=Mean("amount")).current()
        answers.update(noting(length), metadata=True)


def with_lists(frame: Any, results: Results) -> None:
    """What one writes by hand where the windows are too slow: a sorted list per card in this process's memory."""
    cards: dict[str, list[tuple[int, int]]] = {}

    def taken_in(value: dict[str, Any]) -> None:
        time_ms = time_of(value)
        card = value["card_id"]
        results.taken_in(card, time_ms)
        of_card = cards.setdefault(card, [])
        bisect.insort(of_card, (time_ms, round(float(value["amount"]) * 100)))
        results.answered(card, value["transaction_id"], time_ms, list(trailing(of_card, time_ms)))

    frame.update(taken_in)


def main() -> None:
    """Take in the topic and leave the results."""
    bootstrap, topic, path, way = sys.argv[1:]
    logging.disable(logging.WARNING)
    results = Results()
    with tempfile.TemporaryDirectory() as state:
        app = Application(
            broker_address=bootstrap,
            consumer_group=f"quix-{way}-{topic}",
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel=None,
        )
        source = app.topic(topic, value_deserializer="json", timestamp_extractor=lambda value, *_: time_of(value))
        frame = app.dataframe(source)
        (with_windows if way == "windows" else with_lists)(frame, results)
        app.run(timeout=QUIET_SECONDS)
        results.write(Path(path))


if __name__ == "__main__":
    main()
