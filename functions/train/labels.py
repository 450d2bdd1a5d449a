"""What was known about transactions at a moment: labels come late, and no label is no proof before its horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from functions.train.rows import Bools, Ints


@dataclass(frozen=True, slots=True)
class LabelHistory:
    """Labels of n transactions as they became known, one after the other.

    Attributes:
        event_time_ms: Of the transactions, [n].
        row: Which transaction each of m labels is of, by position, [m].
        label_time_ms: When it became known, [m].
        is_fraud: What it says, [m].
        horizon_ms: How long after a transaction the absence of a label means that it was genuine.
        silent: [n], true where no label can come, so that its absence never means anything.
    """

    event_time_ms: Ints
    row: Ints
    label_time_ms: Ints
    is_fraud: Bools
    horizon_ms: int
    silent: Bools

    def at(self, moment_ms: int) -> tuple[Bools, Bools]:
        """Return what was known at a moment: which transactions are frauds, and which are known at all.

        A label counts from its own millisecond on; of several the latest counts. Without a label a transaction is
        unknown until its horizon has passed, then genuine.
        """
        known = (self.event_time_ms + self.horizon_ms <= moment_ms) & ~self.silent
        is_fraud = np.zeros(len(self.event_time_ms), bool)
        seen = np.flatnonzero(self.label_time_ms <= moment_ms)
        in_order = seen[np.argsort(self.label_time_ms[seen], kind="stable")]
        # Of repeated positions numpy keeps the last assignment, which is the latest label.
        is_fraud[self.row[in_order]] = self.is_fraud[in_order]
        known[self.row[in_order]] = True
        return is_fraud, known
