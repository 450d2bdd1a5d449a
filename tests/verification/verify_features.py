"""Compares the online engine, the history engine and the brute-force oracle over hostile worlds.

    python -m tests.verification.verify_features --events 1000000 --seed 7

A decision is one compared vector: all features of one transaction from all three, at the moment of its arrival. Of very
busy cards every event is recorded and its status compared, and the vector of every so many. Counts and sums must be
equal, floats within one unit in the last place. The last line is `N decisions, M mismatches`, where M is the number of
lines of difference; the exit status is 1 when there are any, and the shortest failing stream found is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from redis.asyncio import Redis

from tests.support.features.checking import replay, transactions_of
from tests.support.features.merchant_streams import Item
from tests.support.features.valkey import valkey
from tests.verification.comparison import Verdict, compare
from tests.verification.shrink import shrink
from tests.verification.worlds import World, size, world

_SHOWN = 20
_EVERY_SECONDS = 10.0
_READ_WHOLE = 3_000
"""A failing stream shorter than this is compared at every event while it shrinks."""

Task = tuple[int, int, int]
"""Seed, number and decisions of a world."""


def plan(events: int, seed: int) -> Iterator[Task]:
    """The worlds that make so many decisions."""
    number = 0
    while events > 0:
        decisions = min(size(number), events)
        yield seed, number, decisions
        events -= decisions
        number += 1


def verify(events: int, seed: int, processes: int) -> tuple[int, list[tuple[Task, Verdict]]]:
    """Run the worlds side by side, each process with its own store; decisions made, and the verdicts that failed."""
    context = multiprocessing.get_context("spawn")
    failed: list[tuple[Task, Verdict]] = []
    done, recorded, mismatches = 0, 0, 0
    started = shown = time.monotonic()
    with ExitStack() as stack:
        ports: SimpleQueue[int] = context.SimpleQueue()
        for _ in range(processes):
            ports.put(stack.enter_context(valkey()))
        pool = stack.enter_context(context.Pool(processes, _start, (ports,)))
        for task, verdict in pool.imap_unordered(_run, plan(events, seed)):
            done += verdict.decisions
            recorded += verdict.events
            mismatches += len(verdict.lines)
            if verdict.lines:
                failed.append((task, verdict))
                print(f"{verdict.world}: {len(verdict.lines)} mismatches", flush=True)
            now = time.monotonic()
            if now - shown > _EVERY_SECONDS or done >= events:
                shown = now
                seconds = now - started
                left = seconds * (events - done) / max(done, 1)
                print(
                    f"{done:,} of {events:,} decisions ({recorded:,} events), {mismatches:,} mismatches, "
                    f"{seconds:.0f} s, about {left:.0f} s left",
                    flush=True,
                )
    return done, failed


_port: int


def _start(ports: SimpleQueue[int]) -> None:
    global _port  # noqa: PLW0603 - set once, as the process starts
    _port = ports.get()
    # DuckDB draws its progress on standard output; the parent reports ours.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _run(task: Task) -> tuple[Task, Verdict]:
    return task, asyncio.run(_compare(world(*task), _port))


async def _compare(one: World, port: int) -> Verdict:
    async with Redis(port=port) as redis:
        return await compare(one, redis)


async def shortest(one: World, line: str) -> World:
    """The world cut to what its failure needs, given one line of difference."""
    position = int(line.split(": ", 1)[1].split(" ", 1)[0])
    with valkey() as port:

        def cut(stream: Sequence[Item]) -> World:
            return replace(one, stream=stream, every=1 if len(stream) < _READ_WHOLE else one.every)

        async def fails(stream: Sequence[Item]) -> bool:
            return bool((await _compare(cut(stream), port)).lines)

        failed = transactions_of(one.stream)[position]
        last = next(number for number, item in enumerate(one.stream) if item is failed)
        stream = one.stream[: last + 1]
        of_the_card = [item for item in stream if item.card_id == failed.card_id]
        if await fails(of_the_card):
            stream = of_the_card
        return cut(await shrink(stream, fails))


def report(task: Task, verdict: Verdict) -> None:
    """Print a failed world's differences, and a stream to paste into a test."""
    print(f"\n{verdict.world}")
    for line in verdict.lines[:_SHOWN]:
        print(f"  {line}")
    found = asyncio.run(shortest(world(*task), verdict.lines[0]))
    print(f"shrunk to {len(found.stream)} events, with {found.limits}, batches of {found.batch}:")
    print(replay(found.stream))


def main() -> int:
    """Verify and print; 1 when anything differs."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.verification.verify_features",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=1_000_000, help="decisions to compare (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each core")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    done, failed = verify(arguments.events, seed, arguments.processes)
    for task, verdict in failed[:3]:
        report(task, verdict)
    print(f"{done} decisions, {sum(len(verdict.lines) for _, verdict in failed)} mismatches")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
