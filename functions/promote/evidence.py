"""What the shadow says about two models on the same transactions.

Every figure is paired: both models scored every row. What labels tell comes from matured rows alone: rows older than
the label horizon, so that a fraud is not known earlier than its genuine neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.evidence.bootstrap import GROUPS, Estimate, groups_of, poisson_weights
from shared.evidence.precision import RankedScores
from shared.evidence.proportions import Interval, wilson_interval
from shared.evidence.stability import Bins, population_stability_index

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

DRAWS: Final = 400
SEED: Final = 40
APPROVE: Final = "approve"


@dataclass(frozen=True)
class Opinions:
    """One model's view of n transactions.

    Attributes:
        score: [n].
        decision: "approve", "review" or "decline", [n].
    """

    score: Floats
    decision: npt.NDArray[np.str_]

    @property
    def alert(self) -> Bools:
        """What was reviewed or declined."""
        return np.asarray(self.decision != APPROVE)

    def take(self, wanted: npt.NDArray[Any]) -> Opinions:
        """Return some of the rows, by mask or by index."""
        return Opinions(self.score[wanted], self.decision[wanted])


@dataclass(frozen=True)
class Pairs:
    """Transactions that both models scored.

    Attributes:
        champion: Its view, [n].
        challenger: Its view, [n].
        card: Cluster of the bootstrap, [n].
        amount: In minor units of one currency; 0 where it is another, [n].
        is_fraud: Labels as known, [n].
        matured: Whether the label, or its absence, means something by now, [n].
        weight: How many transactions a row stands for, [n].
    """

    champion: Opinions
    challenger: Opinions
    card: npt.NDArray[Any]
    amount: Floats
    is_fraud: Bools
    matured: Bools
    weight: Floats

    def __len__(self) -> int:
        return len(self.card)


@dataclass(frozen=True)
class Share:
    """A share with its 95 % Wilson interval; no interval without rows."""

    successes: int
    trials: int

    @property
    def interval(self) -> Interval | None:
        """The interval."""
        return wilson_interval(self.successes, self.trials)

    def document(self) -> dict[str, Any]:
        """Return the share in percent, as JSON."""
        interval = self.interval
        if interval is None:
            return {"of": 0, "percent": None, "lower": None, "upper": None}
        share, lower, upper = (round(100 * one, 3) for one in (self.successes / self.trials, *interval))
        return {"of": self.trials, "percent": share, "lower": lower, "upper": upper}


@dataclass(frozen=True)
class Matured:
    """What labels say.

    Attributes:
        rows: Matured rows.
        frauds: Frauds among them.
        base_rate: Their weighted share.
        average_precision: Of champion and challenger.
        precision_gain: Challenger's minus champion's average precision.
        challenger_precision: The challenger's own, with its error.
        saved: Money saved per 1,000 transactions by champion and challenger, minor units.
        saved_gain: Challenger's minus champion's, per 1,000 transactions.
    """

    rows: int
    frauds: int
    base_rate: float
    average_precision: tuple[float, float]
    precision_gain: Estimate
    challenger_precision: Estimate
    saved: tuple[float, float]
    saved_gain: Estimate


@dataclass(frozen=True)
class Evidence:
    """All there is to weigh.

    Attributes:
        rows: Transactions that both scored.
        agreement: Same decision, of all.
        alert_agreement: Same decision, of those that either alerted on: elsewhere a useless model agrees as well.
        score_stability: Stability index of the challenger's scores against the champion's; None without rows.
        matured: What labels say; None without a matured fraud.
    """

    rows: int
    agreement: Share
    alert_agreement: Share
    score_stability: float | None
    matured: Matured | None


def weigh(pairs: Pairs, cost_per_false_alarm: float) -> Evidence:
    """Gather the evidence of a shadow.

    Args:
        pairs: What both scored.
        cost_per_false_alarm: Minor units that an alert on a genuine transaction costs.
    """
    same = pairs.champion.decision == pairs.challenger.decision
    alerts = pairs.champion.alert | pairs.challenger.alert
    matured = pairs.matured
    return Evidence(
        rows=len(pairs),
        agreement=Share(int(same.sum()), len(pairs)),
        alert_agreement=Share(int(same[alerts].sum()), int(alerts.sum())),
        score_stability=_score_stability(pairs) if len(pairs) else None,
        matured=_matured(pairs, cost_per_false_alarm) if pairs.is_fraud[matured].any() else None,
    )


def money_saved(opinions: Opinions, amount: Floats, is_fraud: Bools, cost_per_false_alarm: float) -> Floats:
    """Return what a model saves on each transaction: the amount of a fraud it alerts on, minus what false alarms cost.

    Args:
        opinions: The model's view, [n].
        amount: Minor units, [n].
        is_fraud: [n].
        cost_per_false_alarm: Minor units.
    """
    return np.where(opinions.alert, np.where(is_fraud, amount, -cost_per_false_alarm), 0.0)


def _score_stability(pairs: Pairs) -> float:
    bins = Bins.by_quantiles(pairs.champion.score)
    counts = (
        np.bincount(bins.place(scores), minlength=len(bins))
        for scores in (pairs.challenger.score, pairs.champion.score)
    )
    return float(population_stability_index(*counts))


def _matured(pairs: Pairs, cost_per_false_alarm: float) -> Matured:
    """Compare on matured rows by a paired bootstrap of whole cards."""
    kept = pairs.matured
    is_fraud, weight, amount = pairs.is_fraud[kept], pairs.weight[kept], pairs.amount[kept]
    sides = [one.take(kept) for one in (pairs.champion, pairs.challenger)]
    groups = groups_of(pairs.card[kept])
    resamples = poisson_weights(np.random.default_rng(SEED), DRAWS, GROUPS)
    ranked = [RankedScores(side.score, is_fraud) for side in sides]
    observed = [one.average_precision(weight) for one in ranked]
    drawn = np.array([[one.average_precision(weight * draw[groups]) for one in ranked] for draw in resamples])
    drawn = drawn[~np.isnan(drawn).any(axis=1)]  # a resample without any fraud says nothing

    saved = [money_saved(side, amount, is_fraud, cost_per_false_alarm) * weight for side in sides]
    per_group = [np.bincount(groups, weights=one, minlength=GROUPS) for one in (*saved, weight)]
    totals = [resamples @ one for one in per_group]
    standing = [1000 * one.sum() / weight.sum() for one in saved]
    redrawn = 1000 * (totals[1] - totals[0]) / np.maximum(totals[2], 1e-9)
    return Matured(
        rows=int(kept.sum()),
        frauds=int(is_fraud.sum()),
        base_rate=float(weight[is_fraud].sum() / weight.sum()),
        average_precision=(observed[0], observed[1]),
        precision_gain=Estimate.of(observed[1] - observed[0], drawn[:, 1] - drawn[:, 0]),
        challenger_precision=Estimate.of(observed[1], drawn[:, 1]),
        saved=(standing[0], standing[1]),
        saved_gain=Estimate.of(standing[1] - standing[0], redrawn),
    )
