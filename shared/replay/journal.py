"""Decisions written as they come, so that a replay that was broken off goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import orjson

from shared.replay.client import Outcome, Refusal

_REFUSED = "refused"
_FLUSH_EVERY = 500
Row = dict[str, Any]


class Journal:
    """One JSON line per transaction in event-time order, after a line that says which replay it belongs to.

    A decision's line is the output row itself: `transaction_id, decision, score, model_version, degraded` and the
    features with the prefix `f_`.

    Attributes:
        resumed: Lines found from an earlier, broken-off run of the same replay.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Open it.

        Args:
            path: The file.
            identity: What makes a replay the same one; a journal of another one is overwritten.
        """
        self.path = path
        self._header = orjson.dumps({"replay": identity}, option=orjson.OPT_SORT_KEYS)
        self.resumed = self._recover()
        self._file: IO[bytes] = self._open()
        self._unflushed = 0

    def write(self, file_row: int, transaction_id: str, outcome: Outcome) -> None:
        """Append the outcome of the next transaction, which stands in that row of the file."""
        if isinstance(outcome, Refusal):
            line: Row = {_REFUSED: outcome.reason, "row": file_row, "transaction_id": transaction_id}
        else:
            line = _row(outcome)
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        self._unflushed += 1
        if self._unflushed >= _FLUSH_EVERY:
            self._file.flush()
            self._unflushed = 0

    def outcomes(self) -> Iterator[Row | None]:
        """Yield the row of each transaction so far, None for a refused one."""
        return (None if _REFUSED in line else line for line in self._lines())

    def refusals(self) -> Iterator[tuple[int, str, str]]:
        """Yield row of the file, transaction id and reason of each refused transaction."""
        return ((line["row"], line["transaction_id"], line[_REFUSED]) for line in self._lines() if _REFUSED in line)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the decisions."""
        return (line for line in self._lines() if _REFUSED not in line)

    def remove(self) -> None:
        """Close and delete it: the replay is complete."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _recover(self) -> int:
        """Count the whole lines of an earlier run; cut off what it was writing when it ended."""
        try:
            with self.path.open("rb+") as file:
                if file.readline().rstrip(b"\n") != self._header:
                    return 0
                lines, end = 0, file.tell()
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    lines, end = lines + 1, end + len(line)
                file.truncate(end)
                return lines
        except FileNotFoundError:
            return 0

    def _lines(self) -> Iterator[Row]:
        self._file.flush()
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                yield orjson.loads(line)

    def _open(self) -> IO[bytes]:
        if self.resumed:
            return self.path.open("ab")
        file = self.path.open("wb")
        file.write(self._header + b"\n")
        return file


def _row(decision: Mapping[str, Any]) -> Row:
    row = {name: decision[name] for name in ("transaction_id", "decision", "score", "model_version", "degraded")}
    return row | {f"f_{name}": value for name, value in decision["features"].items()}
