"""Cards that are out of the ordinary, and how much one server core does."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice

from shared.features.catalogue import CATALOGUE
from shared.features.online.wire import Call
from shared.features.plan import Aggregate, Op
from tests.benchmarks.features.cards import Shape, card
from tests.benchmarks.features.sizes import percentile
from tests.benchmarks.features.store import Store
from tests.benchmarks.figure import Figure


def many_cities(store: Store) -> Figure:
    """A card used in 2,000 cities within an hour."""
    one = card(Shape(10_000, "1 h", cities=2_000), 1_000, random.Random(2))
    store.load(one.held)
    took = store.server_us(one.further)
    return Figure(
        name="10,000 in 1 h, 2,000 cities: p50",
        value=percentile(took, 50),
        unit="us",
        bound="<=",
        target=300.0,
        how=f"{len(took):,} calls of one card; p99 {percentile(took, 99):g}, longest {max(took):,} us",
    )


def hundred_thousand(store: Store) -> Figure:
    """A card of 100,000 transactions: loaded, read, and its count checked."""
    size, further = 100_000, 1_000
    one = card(Shape(size, "30 d"), further, random.Random(3))
    started = time.perf_counter()
    store.load(one.held)
    loaded = time.perf_counter() - started
    took = store.server_us(one.further[:-1])
    window = CATALOGUE["txn_count_30d"].window
    counted, card_reply = store.read(one.further[-1], Aggregate(Op.COUNT, window))
    end = one.further[-1].subject.event_time_ms
    times = [call.subject.event_time_ms for call in (*one.held, *one.further)]
    wanted = sum(1 for at in times if end - window < at <= end)
    right = "as it should" if counted == wanted and not card_reply.cut else f"WRONG, not {wanted:,}"
    return Figure(
        name=f"{size:,} in 30 d: p50",
        value=percentile(took, 50),
        unit="us",
        bound="<=",
        target=80.0 if counted == wanted else 0.0,
        how=f"{len(took):,} calls; p99 {percentile(took, 99):g}, longest {max(took):,} us; "
        f"counts {counted:,}, {right}; {store.bytes_of(one.held[0]) / (size + further):.0f} B/transaction; "
        f"built in {loaded:.1f} s",
    )


def calls_per_core(store: Store, seconds: float) -> Figure:
    """Record-and-reads in pipelines, over the processor time of the whole server process."""
    rng = random.Random(4)
    cards = [card(Shape(45, "30 d"), 9, rng) for _ in range(2_000)]
    store.load(call for one in cards for call in one.held)
    calls = _in_turn([one.further for one in cards])
    used, number, deadline = store.processor_seconds(), 0, time.perf_counter() + seconds
    while time.perf_counter() < deadline and (some := list(islice(calls, 64))):
        store.load(some)
        number += len(some)
    used = store.processor_seconds() - used
    return Figure(
        name="record-and-reads per second and server core, 45 transactions",
        value=round(number / used),
        unit="/s",
        bound=">=",
        target=30_000.0,
        how=f"{number:,} calls of 2,000 cards in pipelines of 64; {used:.2f} s of the server's processor time, "
        "append-only file and parsing included",
    )


def _in_turn(queues: list[list[Call]]) -> Iterator[Call]:
    for column in zip(*queues, strict=True):
        yield from column


def longest_call(store: Store) -> Figure:
    """The longest call of all since the benchmark began: what the server's slow log holds."""
    slow = sorted((entry["duration"] for entry in store.slow_calls()), reverse=True)
    return Figure(
        name="longest single call",
        value=round(slow[0] / 1e3, 2) if slow else 1.0,
        unit="ms",
        bound="<=",
        target=3.0,
        how=f"of {store.calls():,} calls, those that built the cards included; over 1 ms: {len(slow):,}; "
        f"longest {', '.join(f'{one / 1e3:.1f}' for one in slow[:5])} ms",
    )
