"""Rows that are refused, each with the reason and never with what was wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Self

import orjson

from shared.contracts.card_numbers import mask_card_numbers
from shared.tabular.options import TabularError

_LONGEST_ID = 128


def rejected_path(file: Path) -> Path:
    """Return where the refused rows of a file go."""
    return file.with_name(file.name + ".rejected.jsonl")


class RejectedRows:
    """Writes `{"row", "transaction_id", "reason"}` per refused row; there is no file when none is refused."""

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        """Prepare.

        Args:
            path: The file.
            keep: Go on with what is there. Else what an earlier reading left goes with the first row, or at the end.
        """
        self.path = path
        self._keep = keep
        self.count = 0
        self._file: IO[bytes] | None = None

    def add(self, row: int, transaction_id: object, reason: str) -> None:
        """Write one row.

        Args:
            row: Its number in the file, from 1.
            transaction_id: Its id, where it has a readable one; a card number in it is masked.
            reason: Why, without any value.

        Raises:
            TabularError: The file can not be written.
        """
        if self._file is None:
            try:
                self._file = self.path.open("ab" if self._keep else "wb")
            except OSError as error:
                raise TabularError(f"refused rows can not be written to {self.path}: {error.strerror}") from None
        shown = mask_card_numbers(transaction_id)[:_LONGEST_ID] if isinstance(transaction_id, str) else None
        self._file.write(
            orjson.dumps({"row": row, "transaction_id": shown, "reason": reason}, option=orjson.OPT_APPEND_NEWLINE)
        )
        self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        elif not self._keep and self.path.exists():
            self.path.unlink()
