"""The timeline of a performance as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from functions.drift.recall import THRESHOLD
from shared.simulation.config import PATTERNS
from tests.e2e.lifecycle.plan import NEW_PATTERN, Plan
from tests.e2e.lifecycle.story import Story
from tests.e2e.lifecycle.traffic import DayTally

_COLOURS: Final = {
    "onset": "tab:red",
    "alarm": "tab:orange",
    "trained": "tab:blue",
    "refused": "tab:gray",
    "rejected": "tab:gray",
    "promoted": "tab:green",
}
_SMOOTHED_DAYS: Final = 2


def draw(plan: Plan, story: Story, tally: DayTally, path: Path) -> None:
    """Draw recall by day, the label evidence, and who was champion; write it as PNG."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, (recall, evidence, champions) = plt.subplots(
        3, 1, figsize=(12, 8), sharex=True, height_ratios=(3, 2, 1), layout="constrained"
    )
    _draw_recall(recall, plan, tally)
    _draw_evidence(evidence, story)
    champions.step(range(1, len(story.champions) + 1), [int(one) for one in story.champions], where="post")
    champions.set_ylabel("champion")
    champions.yaxis.get_major_locator().set_params(integer=True)
    champions.set_xlabel("day of event time")
    named: set[str] = set()
    for moment in story.moments:
        for axes in (recall, evidence, champions):
            axes.axvline(moment.day, color=_COLOURS[moment.kind], linestyle="--", linewidth=1)
        if moment.kind not in named:
            recall.plot([], [], color=_COLOURS[moment.kind], linestyle="--", label=moment.kind)
            named.add(moment.kind)
    recall.legend(loc="lower left", fontsize="small")
    sent, failed = tally.kinds["transaction"], tally.stand_ins.total()
    figure.suptitle(f"{plan.days} days, {sent:,} transactions, {failed} failed")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_recall(axes: Any, plan: Plan, tally: DayTally) -> None:
    others = [pattern for pattern in PATTERNS if pattern is not NEW_PATTERN]
    days = range(plan.days)
    for patterns, name in (([NEW_PATTERN], f"{NEW_PATTERN}, the new pattern"), (others, "all others")):
        points = [(day, _recall(tally, patterns, day)) for day in days]
        known = [(day + 0.5, share) for day, share in points if share is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker=".", label=name)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("frauds found (two days)")


def _recall(tally: DayTally, patterns: list[Any], day: int) -> float | None:
    days = range(max(0, day - _SMOOTHED_DAYS + 1), day + 1)
    frauds, found = (
        sum(side[pattern][one] for pattern in patterns for one in days) for side in (tally.frauds, tally.found)
    )
    return found / frauds if frauds else None


def _draw_evidence(axes: Any, story: Story) -> None:
    if story.falls:
        days = list(story.falls)
        axes.plot(
            days, [effect for effect, _ in story.falls.values()], marker=".", label="fall of the recall on labels"
        )
        axes.plot(days, [bound for _, bound in story.falls.values()], label="its lower bound")
        axes.legend(loc="upper left", fontsize="small")
    axes.axhline(THRESHOLD, color="black", linewidth=0.8)
    axes.set_ylabel("Cohen's h")
