"""What the checks of parity have found, for whoever promotes a model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.runs.store import RunStore

FUNCTION: Final = "parity"
"""Name under which the checks are recorded as runs."""


@dataclass(slots=True)
class ParityEvidence:
    """The checks since a moment.

    Attributes:
        runs: Checks that came to an end.
        checked: Decisions recomputed.
        decisions_wrong: Decisions whose vector no possible history explains.
        mismatches: These by feature.
        undecidable: Decisions that differ, with too many possible histories to try.
    """

    runs: int = 0
    checked: int = 0
    decisions_wrong: int = 0
    undecidable: int = 0
    mismatches: Counter[str] = field(default_factory=Counter)


def parity_since(store: RunStore, moment: datetime) -> ParityEvidence:
    """What the checks that started at or after a moment have found.

    Raises:
        LakeAway: The storage does not answer.
    """
    evidence = ParityEvidence()
    for run in store.since(FUNCTION, moment):
        if run.outcome in ("done", "refused"):
            evidence.runs += 1
            evidence.checked += run.outputs["checked"]
            evidence.decisions_wrong += run.outputs["decisions_wrong"]
            evidence.undecidable += run.outputs["undecidable"]
            evidence.mismatches.update(run.outputs["mismatches"])
    return evidence
