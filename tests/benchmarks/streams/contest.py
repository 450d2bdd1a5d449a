"""Lets each contender take in the stream, and compares what it answered with what is right."""

from __future__ import annotations

import asyncio
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.contracts.transaction import Transaction
from shared.features.online import OnlineFeatures
from shared.features.online.client import connect
from tests.benchmarks.streams.ours import NAMES, with_all_windows
from tests.benchmarks.streams.results import Results
from tests.benchmarks.streams.topic import event_of, produce
from tests.benchmarks.streams.traffic import DAY_MS, HOUR_MS, Purchase, Values, purchases, right
from tests.support.delivery.kafka import EmbeddedKafka

PARTITIONS = 4
WORKERS = 2
PACE = 500.0
PACED_EVENTS = 4_000
START_SECONDS = 4.0
"""What a contender may take to start before the paced stream begins."""
_OTHERS = {
    "Quix Streams sliding_window": ("quix", "windows"),
    "Bytewax collect_window": ("wax", "windows"),
    "Quix Streams, lists by hand": ("quix", "lists"),
    "Bytewax, lists by hand": ("wax", "lists"),
}


@dataclass(frozen=True)
class Row:
    """What came of a contender.

    Attributes:
        name: Who.
        per_second: Transactions taken in per second.
        answered: Transactions with an answer.
        wrong_at_arrival: Transactions with a value other than what was right when they arrived, or with none.
        wrong_at_end: The same against what is right when all of the stream is known.
        behind_hours: How far the card's event time had gone on between arrival and answer: median, most.
        age_ms: Wall clock from sending to answer on a paced stream: median, 99th percentile; None where answers wait
            for windows to close.
    """

    name: str
    per_second: float
    answered: int
    wrong_at_arrival: int
    wrong_at_end: int
    behind_hours: tuple[float, float]
    age_ms: tuple[float, float] | None


class Contest:
    """A broker with the stream in it, and what is right about the stream."""

    others = tuple(_OTHERS)

    def __init__(self, kafka: EmbeddedKafka, folder: Path, events: int, python: Path) -> None:
        today = int(time.time() * 1000) // DAY_MS * DAY_MS
        self._stream = purchases(events, max(events // 100, 10), 7, today - 6 * DAY_MS, 4 * DAY_MS)
        self._right = right(self._stream), right(self._stream, all_known=True)
        self._kafka, self._folder, self._python = kafka, folder, python
        self._topics = 0
        self._topic = self._new_topic()
        produce(kafka.address, self._topic, self._stream)

    def other(self, name: str) -> Row:
        """Let another system take in the stream, and a paced one where it answers at once."""
        module, way = _OTHERS[name]
        results = self._wait_for(self._start(self._python, module, self._topic, way), self._folder / "results")
        age = None
        if module == "quix":
            paced = self._new_topic()
            age = self._paced(paced, self._start(self._python, module, paced, way))
        return self._row(name, results, results.seconds, results.values, age)

    def ours(self, port: int) -> Row:
        """Let this system take in the stream for the time it takes, then again with each answer noted."""
        url = f"redis://127.0.0.1:{port}"
        workers = [
            self._worker(self._topic, f"{url}/0", [k for k in range(PARTITIONS) if k % WORKERS == number])
            for number in range(WORKERS)
        ]
        for worker in workers:
            _expect(worker, "ready")
        for worker in workers:
            _go(worker)
        times = [[float(word) for word in worker.communicate()[0].split()] for worker in workers]
        seconds = max(ended for _, ended in times) - min(began for began, _ in times)
        at_end = asyncio.run(_read_again(f"{url}/0", self._stream))
        path, every = self._folder / "results", list(range(PARTITIONS))
        noting = self._worker(self._topic, f"{url}/1", every, "--results", str(path))
        _go(noting)
        results = self._wait_for(noting, path)
        paced = self._new_topic()
        following = self._worker(paced, f"{url}/2", every, "--results", str(path), "--follow", str(PACED_EVENTS))
        _go(following)
        age = self._paced(paced, following)
        return self._row("this system, Kafka trigger into Valkey", results, seconds, at_end, age)

    def _new_topic(self) -> str:
        self._topics += 1
        return self._kafka.create(f"bench.{self._topics}", PARTITIONS)

    def _start(self, python: Path, module: str, topic: str, way: str) -> subprocess.Popen[str]:
        script = f"tests.benchmarks.streams.{module}"
        command = [python, "-W", "ignore", "-m", script, self._kafka.address, topic, self._folder / "results", way]
        return subprocess.Popen([str(part) for part in command], text=True)

    def _worker(self, topic: str, url: str, partitions: Sequence[int], *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.benchmarks.streams.ours", self._kafka.address, topic, url]
        numbers = [str(partition) for partition in partitions]
        return subprocess.Popen(
            [*command, "--partitions", *numbers, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _paced(self, topic: str, process: subprocess.Popen[str]) -> tuple[float, float]:
        """Wall-clock age of answers while transactions come at a steady pace."""
        time.sleep(START_SECONDS)
        produce(self._kafka.address, topic, self._stream[:PACED_EVENTS], PACE)
        ages = sorted(self._wait_for(process, self._folder / "results").age_ms)
        return statistics.median(ages), ages[len(ages) * 99 // 100]

    def _wait_for(self, process: subprocess.Popen[str], path: Path) -> Results:
        process.communicate()
        if process.returncode:
            raise RuntimeError(f"{process.args} failed")
        return Results.read(path)

    def _row(self, name: str, results: Results, seconds: float, at_end: Mapping[int, Sequence[Any]], age: Any) -> Row:
        at_arrival_right, at_end_right = self._right
        behind = sorted(results.behind_ms)
        return Row(
            name,
            len(self._stream) / seconds,
            len(results.values),
            _wrong(results.values, at_arrival_right),
            _wrong(at_end, at_end_right),
            (statistics.median(behind) / HOUR_MS, behind[-1] / HOUR_MS),
            age,
        )


def _expect(worker: subprocess.Popen[str], line: str) -> None:
    if worker.stdout is None or worker.stdout.readline().strip() != line:
        raise RuntimeError("a worker did not start")


def _go(worker: subprocess.Popen[str]) -> None:
    if worker.stdin is None:
        raise RuntimeError("a worker listens to nothing")
    worker.stdin.write("go\n")
    worker.stdin.flush()


def _wrong(answers: Mapping[int, Sequence[Any]], wanted: Sequence[Values]) -> int:
    """How many transactions have a value that is not right; means may be off by one unit in the last place."""
    return sum(number not in answers or not _same(answers[number], values) for number, values in enumerate(wanted))


def _same(got: Sequence[Any], wanted: Values) -> bool:
    return all(abs(one - other) <= math.ulp(other) for one, other in zip(got, wanted, strict=True))


async def _read_again(url: str, stream: Sequence[Purchase]) -> dict[int, Sequence[Any]]:
    """What a scorer reads of each transaction once all are known."""
    catalogue = with_all_windows()
    client = connect(url)
    features = OnlineFeatures(client, catalogue)
    positions = [catalogue.names.index(name) for name in NAMES]
    answers: dict[int, Sequence[Any]] = {}
    for start in range(0, len(stream), 200):
        some = stream[start : start + 200]
        reads = await features.record_and_read([Transaction.from_event(event_of(one, None).data) for one in some])
        for one, read in zip(some, reads, strict=True):
            answers[one.number] = [read.values[position] for position in positions]
    await features.aclose()
    await client.aclose()
    return answers
