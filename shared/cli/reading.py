"""Files of transactions on the command line: the options that say how to read one, and reading it with remarks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from shared.cli.output import console, fail
from shared.tabular import ReadingOptions, TabularError, TransactionTable, read_transactions
from shared.tabular.options import pairs

KEY_VARIABLE = "FRAUD_TOKEN_KEY"


def reading_options(
    mapping: list[str] | None,
    constants: list[str] | None,
    tokenize: list[str] | None,
    token_key_file: Path | None,
    **others: Any,
) -> ReadingOptions:
    """Return how to read a file, from the texts of the command line.

    Args:
        mapping: `THEIRS=OURS`, columns to use as fields.
        constants: `FIELD=VALUE`, values for all rows.
        tokenize: Fields whose card numbers are replaced by a keyed digest.
        token_key_file: File with the key of the digest; else it is in the environment.
        others: Other fields of `ReadingOptions`.

    Raises:
        typer.BadParameter: They do not fit.
    """
    try:
        return ReadingOptions(
            rename=pairs(mapping or (), "--map"),
            constants=pairs(constants or (), "--set"),
            tokenize=frozenset(tokenize or ()),
            token_key=_token_key(token_key_file) if tokenize else None,
            **others,
        )
    except TabularError as error:
        raise typer.BadParameter(str(error)) from None


def _token_key(file: Path | None) -> bytes | None:
    if file is None:
        return os.environ.get(KEY_VARIABLE, "").encode() or None
    try:
        return file.read_bytes().strip()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--token-key-file") from None


def read_file(file: Path, options: ReadingOptions, workspace: Path) -> TransactionTable:
    """Read a file, and remark on what was ignored, assumed or refused.

    Raises:
        CommandFailed: Nothing in it is a transaction.
    """
    remarks = console(stderr=True)
    try:
        with remarks.status("reading") as status:
            table = read_transactions(
                file, options, workspace, on_rows=lambda read: status.update(f"reading: {read:,} rows")
            )
    except TabularError as error:
        fail(str(error))
    if table.ignored:
        remarks.print(f"ignored columns: {', '.join(table.ignored)}", markup=False)
    if table.assumed_zone:
        remarks.print(f"times without a zone were read as {table.assumed_zone}", markup=False)
    if table.refused:
        remarks.print(f"{table.refused:,} of {table.read:,} rows refused: {table.rejected}", markup=False)
    if table.read and not table.rows:
        fail(f"all {table.read:,} rows of {file} were refused; the reasons are in {table.rejected}")
    return table
