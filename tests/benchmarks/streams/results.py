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
        behind_ms: How far the stream's event time had gone past the transaction's own when its answer was there.
        age_ms: Wall clock from sending to answer; only of a paced stream.
        seconds: From the first transaction taken in to the last answer.
    """

    values: dict[int, list[Any]] = field(default_factory=dict)
    behind_ms: list[int] = field(default_factory=list)
    age_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _newest_ms: int = 0
    _began: float = 0.0

    def taken_in(self, time_ms: int) -> None:
        """A transaction has been read from Kafka."""
        if not self._began:
            self._began = time.perf_counter()
        self._newest_ms = max(self._newest_ms, time_ms)

    def answered(self, number: int, time_ms: int, sent_ns: int | None, values: list[Any]) -> None:
        """A transaction's values are there; the first answer counts."""
        if number in self.values:
            return
        self.values[number] = values
        self.behind_ms.append(self._newest_ms - time_ms)
        if sent_ns is not None:
            self.age_ms.append((time.time_ns() - sent_ns) / 1e6)
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
