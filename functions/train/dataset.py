"""What a training learns from, from whichever source: examples, and their parts by purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from functions.train.labels import LabelHistory
from functions.train.rows import Rows
from shared.features.catalogue import Catalogue

CountMismatches = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Examples:
    """All transactions of a source, before they are split; labels are kept as they became known.

    Attributes:
        names: Features, in vector order.
        catalogue: The catalogue they come from.
        rows: The transactions; their labels are those known at the cut.
        labels: All labels up to the cut.
        cut_ms: Nothing that became known later is in here.
        start_ms: Event time from which the source is whole.
        end_ms: Event time up to which all is known at the cut: later rows are no fair sample.
        source: Where the rows come from, in words.
        versions: Versions of the tables they were read from.
        count_mismatches: Counts the feature values that differ from what the history engine finds for the same
            transactions when it knows only what was known then.
    """

    names: tuple[str, ...]
    catalogue: Catalogue
    rows: Rows
    labels: LabelHistory
    cut_ms: int
    start_ms: int
    end_ms: int
    source: str
    count_mismatches: CountMismatches
    versions: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """Where examples come from: a simulation, the lake, or somebody's file."""

    def examples(self) -> Examples:
        """Return them.

        Raises:
            NotEnoughData: There are too few to learn from.
        """


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows for each purpose, apart in time and in this order; no row serves two purposes.

    Attributes:
        names: Features, in vector order.
        catalogue: The catalogue they come from.
        train: What the trees learn from.
        stopping: Says when to stop adding trees, and which parameters are best; then it is learned from too.
        calibration: The map from margin to probability is fitted on these.
        policy: Thresholds are chosen on these.
        test: Judged once, at the end, by the gates.
        source: Where the rows come from, in words.
        digest: SHA-256 over all rows, with their purposes.
        cut_ms: Nothing that became known later was used.
        versions: Versions of the tables the rows were read from.
        count_mismatches: As in :class:`Examples`.
    """

    names: tuple[str, ...]
    catalogue: Catalogue
    train: Rows
    stopping: Rows
    calibration: Rows
    policy: Rows
    test: Rows
    source: str
    digest: str
    cut_ms: int
    count_mismatches: CountMismatches
    versions: Mapping[str, int] = field(default_factory=dict)

    def parts(self) -> Iterator[tuple[str, Rows]]:
        """Yield the rows of each purpose with its name."""
        for name in ("train", "stopping", "calibration", "policy", "test"):
            yield name, getattr(self, name)

    @property
    def validation(self) -> tuple[Rows, ...]:
        """The rows of all purposes between training and test."""
        return self.stopping, self.calibration, self.policy
