"""Plays sixty days in ten minutes: a new fraud pattern, label evidence, retraining, shadow, promotion.

    python -m tests.e2e.lifecycle [--no-new-pattern] [--out timeline.png]

The system is one of its own, in a temporary folder and on free ports; event time ends at today's midnight.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from shared.contracts.event_time import to_milliseconds
from shared.simulation.config import DAY_MS
from tests.e2e.lifecycle.picture import draw
from tests.e2e.lifecycle.plan import NEW_PATTERN, Plan
from tests.e2e.lifecycle.stage import running
from tests.e2e.lifecycle.story import Director, Story
from tests.e2e.lifecycle.traffic import DailyTraffic, DayTally


def play(plan: Plan, home: Path, picture: Path) -> bool:
    """Play a plan and tell what came of it; returns whether it went as it should."""
    began = time.monotonic()

    def announce(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    with running(home, plan.environment) as stage:
        traffic = DailyTraffic(plan, stage.system.state.kafka, stage.system.state.scorer_url)
        stage.dismiss_challenger()
        announce(f"champion {stage.champion()} decides")
        director = Director(plan, stage, traffic, announce)
        try:
            story = director.play()
        finally:
            draw(plan, director.story, traffic.tally, picture)
    print(f"{plan.days} days in {time.monotonic() - began:.0f} s; picture: {picture}\n")
    for moment in story.moments:
        print(f"day {moment.day:>3}  {moment.kind:<9} {moment.text}")
    return conclude(plan, story, traffic.tally)


def conclude(plan: Plan, story: Story, tally: DayTally) -> bool:
    """Print the figures at the end; returns whether the play went as it should."""
    failed = tally.stand_ins.total()
    print(f"\ndrift: {', '.join(f'{count} x {outcome}' for outcome, count in story.verdicts.items())}")
    print(
        f"{tally.kinds['transaction']:,} transactions, {failed} failed, {tally.degraded} degraded, asked again "
        f"{tally.retries} times; {tally.control} would-be declines let through as the control group"
    )
    promoted = story.first("promoted")
    if plan.onset is None:
        return promoted is None and story.first("alarm") is None and not failed
    if promoted is None:
        print("no challenger was promoted")
        return False
    before = tally.recall(NEW_PATTERN, plan.onset, promoted.day)
    after = tally.recall(NEW_PATTERN, promoted.day + 1, plan.days)
    if before is None or after is None:
        print("the promotion came too late for a comparison")
        return False
    print(f"frauds of {NEW_PATTERN} found: {before:.1%} before the promotion, {after:.1%} after it")
    return after > before and not failed


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-new-pattern", action="store_true", help="nothing new happens, and nothing should be done")
    parser.add_argument("--out", type=Path, default=Path(".fraud/lifecycle.png"), help="where the picture goes")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--onset", type=int, default=40, help="day on which the new pattern begins")
    parser.add_argument("--per-day", type=int, default=2_000, help="transactions per day of event time")
    parser.add_argument("--rate", type=float, default=700.0, help="transactions per second of wall clock")
    parser.add_argument("--often-from", type=int, default=40, help="day from which on every fourth day is judged")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # what was started is stopped on the way
    midnight_ms = to_milliseconds(datetime.now(UTC)) // DAY_MS * DAY_MS
    plan = Plan(
        start_ms=midnight_ms - options.days * DAY_MS,
        days=options.days,
        onset=None if options.no_new_pattern else options.onset,
        per_day=options.per_day,
        rate=options.rate,
        often_from=options.often_from,
    )
    with tempfile.TemporaryDirectory(prefix="fraud-lifecycle-", ignore_cleanup_errors=True) as folder:
        return 0 if play(plan, Path(folder) / "home", options.out) else 1


if __name__ == "__main__":
    sys.exit(main())
