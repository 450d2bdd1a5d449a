"""From evidence to a verdict: promote, keep or reject, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from functions.promote.evidence import Evidence, Matured
from shared.evidence.bootstrap import Estimate

Decision = Literal["promoted", "kept", "rejected"]
ERROR_RATE: Final = 0.025
"""Of each one-sided bound: two figures may each say better, so together they err with at most 5 % (Bonferroni)."""
_OVERFITTED: Final = 0.05
"""How much more of its promised average precision a challenger may lose than the champion does, live."""


@dataclass(frozen=True)
class Rules:
    """What is asked of a challenger.

    Attributes:
        least_frauds: Matured frauds below which nothing is decided.
        precision_tolerance: Average precision that counts as no worse.
        money_tolerance: Share of the champion's saved money that counts as no worse.
    """

    least_frauds: int = 50
    precision_tolerance: float = 0.01
    money_tolerance: float = 0.02


@dataclass(frozen=True)
class Background:
    """What is known of the two versions beside the evidence.

    Attributes:
        promised: Average precision that the trainings of champion and challenger recorded; None where they did not.
        cut: Up to when champion and challenger knew data (RFC 3339, UTC); None where it is not recorded.
        parity_mismatches: Feature values that differed between the engines when that was checked last; None when it
            was not checked.
    """

    promised: tuple[float | None, float | None] = (None, None)
    cut: tuple[str | None, str | None] = (None, None)
    parity_mismatches: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What becomes of a challenger, and why."""

    decision: Decision
    reasons: list[str]


@dataclass(frozen=True)
class _Figure:
    """One figure that both models are compared by."""

    name: str
    gain: Estimate
    tolerance: float
    decimals: int
    unit: str = ""

    @property
    def bounds(self) -> tuple[float, float]:
        return self.gain.lower(ERROR_RATE), self.gain.upper(ERROR_RATE)

    @property
    def no_worse(self) -> bool:
        return self.bounds[0] >= -self.tolerance

    @property
    def better(self) -> bool:
        return self.bounds[0] > 0

    @property
    def worse(self) -> bool:
        return self.bounds[1] < -self.tolerance

    def sentence(self) -> str:
        lower, upper = self.bounds
        said = "worse" if self.worse else "better" if self.better else "no worse" if self.no_worse else "undecided"
        digits = self.decimals
        return (
            f"{self.name} {said}: {self.gain.value:+.{digits}f}{self.unit} against the champion on the same "
            f"transactions, {lower:+.{digits}f} to {upper:+.{digits}f} by a paired bootstrap of cards"
        )


def judge(evidence: Evidence, background: Background, rules: Rules) -> Verdict:
    """Decide what becomes of the challenger.

    It is promoted when the lower bounds of both gains, average precision and money saved, say no worse and at least one
    says better; rejected when an upper bound says worse; kept otherwise, and whatever the figures while the feature
    engines disagree.
    """
    matured = evidence.matured
    if matured is None or matured.frauds < rules.least_frauds:
        frauds = 0 if matured is None else matured.frauds
        seen = f"{frauds} matured frauds among {evidence.rows} transactions that both scored"
        return Verdict("kept", [f"{seen}; {rules.least_frauds} are asked for"])
    figures = (
        _Figure("average precision", matured.precision_gain, rules.precision_tolerance, 4),
        _Figure(
            "money saved",
            matured.saved_gain,
            max(0.0, rules.money_tolerance * matured.saved[0]),
            0,
            " minor units per 1,000 transactions",
        ),
    )
    reasons = [figure.sentence() for figure in figures]
    if any(figure.worse for figure in figures):
        return Verdict("rejected", [*_why_worse(matured, background), *reasons])
    if background.parity_mismatches:
        blocked = f"{background.parity_mismatches} feature values differ between the engines: nothing is promoted"
        return Verdict("kept", [blocked, *reasons])
    if all(figure.no_worse for figure in figures) and any(figure.better for figure in figures):
        return Verdict("promoted", reasons)
    return Verdict("kept", reasons)


def _why_worse(matured: Matured, background: Background) -> list[str]:
    """Say what kind of bad model it is, as far as the evidence tells."""
    found: list[str] = []
    own = matured.challenger_precision
    if own.upper(ERROR_RATE) < matured.base_rate:
        found.append(
            f"its scores run the wrong way: average precision {own.value:.4f}, chance gives {matured.base_rate:.4f}"
        )
    elif own.lower(ERROR_RATE) <= matured.base_rate:
        found.append(f"no better than chance: average precision {own.value:.4f}, chance gives {matured.base_rate:.4f}")
    promised, champion_promised = background.promised[1], background.promised[0]
    live = matured.average_precision
    if promised is not None and promised > own.upper(ERROR_RATE):
        champion_loss = 0.0 if champion_promised is None else max(0.0, champion_promised - live[0])
        if promised - live[1] > champion_loss + _OVERFITTED:
            found.append(
                f"overfitted: its training promised average precision {promised:.4f}, live it is {live[1]:.4f}"
            )
    champion_cut, cut = background.cut
    if cut is not None and champion_cut is not None and cut < champion_cut:
        found.append(f"stale: it knows data up to {cut}, the champion up to {champion_cut}")
    return found


def document(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as a JSON object."""
    found: dict[str, Any] = {
        "rows": evidence.rows,
        "agreement": evidence.agreement.document(),
        "alert_agreement": evidence.alert_agreement.document(),
        "score_stability": evidence.score_stability,
        "matured": None,
    }
    matured = evidence.matured
    if matured is not None:
        found["matured"] = {
            "rows": matured.rows,
            "frauds": matured.frauds,
            "average_precision": _sides(matured.average_precision, matured.precision_gain),
            "saved_per_1000": _sides(matured.saved, matured.saved_gain),
        }
    return found


def _sides(values: tuple[float, float], gain: Estimate) -> dict[str, float]:
    return {
        "champion": values[0],
        "challenger": values[1],
        "gain": gain.value,
        "lower": gain.lower(ERROR_RATE),
        "upper": gain.upper(ERROR_RATE),
    }
