"""The play itself: day after day of traffic, and beside it archiver, drift, training and promotion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from functions.drift.quantities import RECALL
from shared.runs.record import RunRecord
from tests.e2e.lifecycle.plan import NEW_PATTERN, Plan
from tests.e2e.lifecycle.stage import Stage
from tests.e2e.lifecycle.traffic import DailyTraffic

Kind = Literal["onset", "alarm", "trained", "refused", "rejected", "promoted"]
_TRY_AGAIN_DAYS: Final = 4


@dataclass(frozen=True)
class Moment:
    """Something worth telling.

    Attributes:
        day: Days of event time since the beginning.
        kind: What it is.
        text: The same in words.
    """

    day: int
    kind: Kind
    text: str


@dataclass
class Story:
    """What happened.

    Attributes:
        moments: In their order.
        champions: Champion at the end of each day.
        falls: By day, the fall of the recall on labels: its effect and the effect's lower bound.
        verdicts: How often drift came to which outcome.
    """

    moments: list[Moment] = field(default_factory=list)
    champions: list[str] = field(default_factory=list)
    falls: dict[int, tuple[float, float]] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)

    def first(self, kind: Kind) -> Moment | None:
        """Return the first moment of a kind."""
        return next((one for one in self.moments if one.kind == kind), None)


class Director:
    """Plays a plan on a stage.

    Args:
        plan: What is played.
        stage: The running system.
        traffic: Its traffic.
        announce: Takes lines of progress.
    """

    def __init__(self, plan: Plan, stage: Stage, traffic: DailyTraffic, announce: Callable[[str], None]) -> None:
        self._plan = plan
        self._stage = stage
        self._traffic = traffic
        self._announce = announce
        self._trained_on: int | None = None
        self.story = Story()

    def play(self) -> Story:
        """Play all days.

        What moves the champion happens while the traffic of the next day goes on. A training takes minutes, so event
        time, of which a day passes in seconds here, waits for it.
        """
        with ThreadPoolExecutor(1) as office:
            for day in range(self._plan.days + 1):
                weighing: Future[None] | None = None
                if self._plan.is_judged(day):
                    self._stage.wait_caught_up()
                    weighing = office.submit(self._weigh, day)
                if day == self._plan.onset:
                    self._tell(Moment(day, "onset", f"{NEW_PATTERN} begins"))
                if day < self._plan.days:
                    self._traffic.send_day()
                    self.story.champions.append(self._stage.champion())
                    self._progress(day + 1)
                if weighing is not None:
                    weighing.result()
                    self._judge(day)
        return self.story

    def _weigh(self, day: int) -> None:
        """Archive what came before a midnight, and weigh the challenger by it."""
        self._stage.archive()
        # A challenger that is promoted answers to the drift that it was trained for.
        self._promote(day, self._as_of(day))

    def _judge(self, day: int) -> None:
        """Do the rest of what the schedules do at the midnight that ends a day."""
        self._drift(day, self._as_of(day))
        if self._trained_on is not None and day - self._trained_on >= _TRY_AGAIN_DAYS:
            self._train_again(day, self._as_of(day))

    def _as_of(self, day: int) -> str:
        return datetime.fromtimestamp(self._plan.midnight_ms(day) / 1000, UTC).isoformat()

    def _drift(self, day: int, as_of: str) -> None:
        before = datetime.now(UTC)
        document = self._stage.run("drift", {"as_of": as_of}).outputs
        outcome = document["outcome"]
        self.story.verdicts[outcome] = self.story.verdicts.get(outcome, 0) + 1
        for one in document.get("compared", ()):
            if one["name"] == RECALL:
                self.story.falls[day] = one["effect"], one["lower_bound"]
        if not document.get("announced"):
            return
        found = ", ".join(f"{one['name']} {one['effect']:.2f}" for one in document["findings"])
        self._tell(Moment(day, "alarm", f"drift: {found}"))
        self._stage.wait_caught_up()
        self._trained(day, self._stage.runs_since("train", before))

    def _train_again(self, day: int, as_of: str) -> None:
        """Do what the daily training does until a challenger is promoted: more is known of what the alarm was about."""
        self._trained(day, self._stage.train(as_of))

    def _trained(self, day: int, trainings: Iterable[RunRecord]) -> None:
        self._trained_on = day
        for training in trainings:
            for one in training.outputs.get("registered", ()):
                text = f"version {one['version']} passed its gates and is the {one['alias']}"
                self._tell(Moment(day, "trained", text))
            if training.outcome in ("refused", "failed"):
                self._tell(Moment(day, "refused", training.reason))

    def _promote(self, day: int, as_of: str) -> None:
        document = self._stage.run("promote", {"as_of": as_of}).outputs
        if document["verdict"] == "promoted":
            self._trained_on = None
        if document["verdict"] in ("promoted", "rejected"):
            reasons = "; ".join(document["reasons"])
            self._tell(Moment(day, document["verdict"], f"version {document['version']}: {reasons}"))

    def _tell(self, moment: Moment) -> None:
        self.story.moments.append(moment)
        self._announce(f"day {moment.day:>3}  {moment.kind.upper()}: {moment.text}")

    def _progress(self, day: int) -> None:
        tally = self._traffic.tally
        self._announce(
            f"day {day:>3} of {self._plan.days}: {tally.kinds['transaction']:,} transactions, "
            f"{tally.stand_ins.total()} failed, champion {self.story.champions[-1]}"
        )
