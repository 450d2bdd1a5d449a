"""Raw batches to checked transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from shared.contracts.problems import from_validation
from shared.contracts.transaction import Transaction
from shared.tabular.options import ReadingOptions, TabularError
from shared.tabular.rejected import RejectedRows
from shared.tabular.sources import RawBatch
from shared.tabular.tokens import Tokenizer
from shared.tabular.values import Read, Times, Unreadable, flags, reader

Checked = tuple[int, Transaction, bool | None, Any]
"""Row number, transaction, label, time of the label."""


class RowChecker:
    """Makes transactions of rows; hands those that are none to the refused ones.

    Attributes:
        times: Knows whether a zone had to be assumed.
    """

    def __init__(self, options: ReadingOptions, columns: dict[str, str], rejected: RejectedRows) -> None:
        """Prepare.

        Args:
            options: How to read.
            columns: Field -> column of the file.
            rejected: Where refused rows go.
        """
        self.times = Times(options.zone)
        self._options = options
        self._columns = columns
        self._rejected = rejected
        self._tokenizer = Tokenizer(options.token_key) if options.token_key is not None else None

    @property
    def wanted(self) -> list[str]:
        """The columns of the file that are needed."""
        labels = [name for name in (self._options.label, self._options.label_time) if name]
        return list(dict.fromkeys([*self._columns.values(), *labels]))

    def check(self, batch: RawBatch) -> Iterator[Checked]:
        """Yield the transactions of a batch, in the order of the file.

        Raises:
            TabularError: A column's type can not hold its field.
        """
        for number, reason in batch.unreadable.items():
            self._rejected.add(number, None, reason)
        fields = {field: self._read(batch, field, column) for field, column in self._columns.items()}
        labels = self._labels(batch)
        names = list(fields)
        constants = dict(self._options.constants)
        for number, values, label in zip(batch.numbers, zip(*fields.values(), strict=True), labels, strict=True):
            row = constants | dict(zip(names, values, strict=True))
            transaction = self._transaction(number, row, label)
            if transaction is not None:
                yield number, transaction, *label

    def _transaction(self, number: int, row: dict[str, Read], label: tuple[Read, Read]) -> Transaction | None:
        broken = [f"{field}: {value}" for field, value in row.items() if isinstance(value, Unreadable)]
        broken += [f"label: {value}" for value in label if isinstance(value, Unreadable)]
        if not broken:
            present = {field: value for field, value in row.items() if value is not None}
            try:
                return Transaction.model_validate(present)
            except ValidationError as error:
                broken = [from_validation(error).detail]
        identifier = row.get("transaction_id")
        shown = None if isinstance(identifier, Unreadable) else identifier
        self._rejected.add(number, shown, "; ".join(broken))
        return None

    def _read(self, batch: RawBatch, field: str, column: str) -> Sequence[Read]:
        try:
            values = reader(field, self.times)(batch.columns[column])
        except TabularError as error:
            raise TabularError(f"column {column} for {field}: {error}") from None
        if field not in self._options.tokenize or self._tokenizer is None:
            return values
        token = self._tokenizer.token
        return [value if value is None or isinstance(value, Unreadable) else token(field, value) for value in values]

    def _labels(self, batch: RawBatch) -> Sequence[tuple[Read, Read]]:
        nothing: Sequence[Read] = [None] * len(batch.numbers)
        label, label_time = self._options.label, self._options.label_time
        known = flags(batch.columns[label]) if label else nothing
        when = self.times(batch.columns[label_time]) if label_time else nothing
        return list(zip(known, when, strict=True))
