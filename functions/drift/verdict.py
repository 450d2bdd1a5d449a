"""What a run of the drift function comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from functions.drift.comparison import Compared, Comparison, Sample, compare
from functions.drift.errors import NoVerdict
from functions.drift.quantities import RECALL, quantities
from functions.drift.samples import Window
from shared.contracts.event_time import to_rfc3339
from shared.features.catalogue import Catalogue

Outcome = Literal["drift", "no drift"]


@dataclass(frozen=True)
class Verdict:
    """A window, judged.

    Attributes:
        outcome: Whether anything drifted.
        model_version: The champion whose reference it was compared with.
        window: What was judged.
        comparison: All quantities.
    """

    outcome: Outcome
    model_version: str
    window: Window
    comparison: Comparison

    @property
    def findings(self) -> list[Compared]:
        """What drifted, the largest effect first."""
        return self.comparison.drifted

    def document(self) -> dict[str, Any]:
        """Return the verdict as a JSON object, for the report and the record of the run."""
        window, comparison = self.window, self.comparison
        return {
            "outcome": self.outcome,
            "model_version": self.model_version,
            "window_start": to_rfc3339(window.start_ms),
            "window_end": to_rfc3339(window.end_ms),
            "volume": {"rows": window.rows, "usual_rows": window.usual_rows},
            "degraded_rows": window.degraded,
            "other_catalogue_rows": window.other_catalogue,
            "unmatched_rows": comparison.unmatched_rows,
            "compared_rows": len(window.sample) - comparison.unmatched_rows,
            "findings": [_compared(one) for one in self.findings],
            "compared": [_compared(one) for one in comparison.compared],
            "immature": comparison.immature,
            "unknown": comparison.unknown,
        }


def judge(
    reference: Sample,
    window: Window,
    catalogue: Catalogue,
    model_version: str,
    least_rows: int,
    recall: Compared | None = None,
) -> Verdict:
    """Compare a window with the champion's reference, and add what labels say.

    An outage is no drift: decisions made without history are left out, and how many there were is told beside. So is
    the volume: fewer transactions are no other transactions.

    Raises:
        NoVerdict: There are too few rows, or nothing can be compared.
    """
    if len(window.sample) < least_rows:
        raise NoVerdict(
            f"{len(window.sample)} whole decisions from {to_rfc3339(window.start_ms)} to {to_rfc3339(window.end_ms)} "
            f"({window.rows} in all, {window.degraded} degraded); at least {least_rows} are asked for"
        )
    names = [name for name in window.features if name in catalogue.names]
    comparison = _with_recall(compare(reference, window.sample, quantities(catalogue, names)), recall)
    if not comparison.compared:
        raise NoVerdict(
            "the stream is too young for every feature, or has no row at a part of the week the reference has"
        )
    return Verdict("drift" if comparison.drifted else "no drift", model_version, window, comparison)


def _with_recall(comparison: Comparison, recall: Compared | None) -> Comparison:
    if recall is None:
        return replace(comparison, unknown=[*comparison.unknown, RECALL])
    compared = sorted([recall, *comparison.compared], key=lambda one: -one.effect / one.threshold)
    return replace(comparison, compared=compared)


def not_yet_announced(
    findings: Iterable[Compared], model_version: str, end_ms: int, announced: Iterable[Mapping[str, Any]], hours: float
) -> bool:
    """Return whether there is a finding that was not announced shortly before.

    Args:
        findings: What drifted.
        model_version: The champion; another champion's findings are others.
        end_ms: End of the window, UTC milliseconds.
        announced: `model_version`, `end_ms` and `findings` (names) of earlier announcements.
        hours: How long, in event time, an announcement stands.
    """
    recent: set[str] = set()
    for one in announced:
        if one["model_version"] == model_version and abs(end_ms - int(one["end_ms"])) < hours * 3_600_000:
            recent |= set(one["findings"])
    return any(finding.name not in recent for finding in findings)


def _compared(one: Compared) -> dict[str, Any]:
    return {
        "name": one.name,
        "measure": one.measure.value,
        "effect": round(one.effect, 6),
        "lower_bound": round(one.lower_bound, 6),
        "threshold": one.threshold,
        "reference_rows": one.reference_rows,
        "rows": one.rows,
    }
