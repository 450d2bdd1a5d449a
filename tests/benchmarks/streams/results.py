"""What a contender leaves behind for the comparison."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass
class Results:
    """Answers by the number of the transaction, and when they were there.

    Attributes:
        values: Number, sum and mean per window.
        behind_ms: How far the card's event time had gone on between arrival and answer.
        age_ms: Wall clock from sending to answer; only of a paced stream.
        seconds: From the first transaction taken in to the last answer.
    """

    values: dict[int, list[Any]] = field(default_factory=dict)
    behind_ms: list[int] = field(default_factory=list)
    age_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _newest_ms: dict[str, int] = field(default_factory=dict)
    _at_arrival_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    _began: float = 0.0

    def taken_in(self, card: str, time_ms: int) -> None:
        """A transaction has been read from Kafka."""
        if not self._began:
            self._began = time.perf_counter()
        newest = self._newest_ms[card] = max(self._newest_ms.get(card, 0), time_ms)
        self._at_arrival_ms[card, time_ms] = newest

    def answered(self, card: str, identity: str, time_ms: int, values: list[Any]) -> None:
        """A transaction's values are there; the first answer counts. Its id is its number, and when it was sent."""
        number_text, _, sent_ns = identity.partition("/")
        number = int(number_text)
        if number in self.values:
            return
        self.values[number] = values
        self.behind_ms.append(self._newest_ms[card] - self._at_arrival_ms.pop((card, time_ms)))
        if sent_ns:
            self.age_ms.append((time.time_ns() - int(sent_ns)) / 1e6)
        self.seconds = time.perf_counter() - self._began

    def write(self, path: Path) -> None:
        """Leave them as a JSON file."""
        document = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read them back."""
        document = orjson.loads(path.read_bytes())
        document["values"] = {int(number): values for number, values in document["values"].items()}
        return cls(**document)
