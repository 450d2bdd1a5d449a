"""`fraud backtest`: train and judge on your own file of labelled transactions."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from functions.train.backtest.columns import Guess, guess_columns
from functions.train.backtest.periods import Asked
from functions.train.errors import TrainingRefused
from functions.train.job import ENVIRONMENT
from shared.cli.output import console, fail, print_json
from shared.cli.reading import KEY_VARIABLE, read_file, reading_options
from shared.cli.stack_state import StackNotRunning, running_stack
from shared.contracts.event_time import to_milliseconds
from shared.tabular.options import ReadingOptions, TabularError, pairs
from shared.tabular.sources import open_source

if TYPE_CHECKING:
    from functions.train.backtest.run import Backtest

ASSUMED_CURRENCY = "EUR"
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}


def command(  # noqa: PLR0913 - the options of a command line
    file: Annotated[Path, typer.Argument(help="CSV, CSV.gz or Parquet file of labelled transactions.")],
    *,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that tells fraud.")] = None,
    label_time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that tells when the label became known.")
    ] = None,
    label_delay: Annotated[str, typer.Option(help="How long labels without a time take: 7d, 36h.")] = "7d",
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="Column to use as a field; repeatable.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Value for all rows; repeatable.")
    ] = None,
    train_from: Annotated[str | None, typer.Option(metavar="DATE", help="First day to learn from.")] = None,
    train_until: Annotated[str | None, typer.Option(metavar="DATE", help="End of it, exclusive.")] = None,
    test_from: Annotated[str | None, typer.Option(metavar="DATE", help="First day to judge.")] = None,
    test_until: Annotated[str | None, typer.Option(metavar="DATE", help="End of it, exclusive.")] = None,
    report: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")] = Path("backtest-report"),
    tokenize: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Replace raw card numbers by a keyed digest; repeatable.")
    ] = None,
    token_key_file: Annotated[
        Path | None, typer.Option(help=f"File with the key of the digest; else the variable {KEY_VARIABLE}.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times and dates that come without one.")] = "UTC",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which column is taken for what, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Take guessed columns without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Learn from the first part of a file, judge on the rest, and write a report.

    By default the first 60 % of the time train, the label delay is a gap, and the rest tests. Columns that are not
    mapped are guessed by their names; a guess is shown and wants to be confirmed.

    Example: fraud backtest cards.csv --map AMT=amount --set currency=EUR --label is_fraud
    """
    started = time.monotonic()
    options, guess = _columns(
        file, mapping, constants, tokenize, token_key_file, label=label, label_time=label_time, timezone=timezone
    )
    if dry_run:
        _show(guess, options, as_json=as_json)
        return
    _confirm(guess, yes=yes)
    zone = options.zone
    asked = Asked(*(_moment(text, zone) for text in (train_from, train_until, test_from, test_until)))
    delay_ms = _duration(label_delay)
    outcome = _run(file, options, asked, delay_ms)
    from functions.train.backtest.report import report as html  # noqa: PLC0415 - brings matplotlib and MLflow
    from functions.train.backtest.summary import document, lines  # noqa: PLC0415

    report.mkdir(parents=True, exist_ok=True)
    written = report / "report.html"
    written.write_text(html(outcome), encoding="utf-8")
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        print_json({**document(outcome), "report": str(written), "seconds": seconds})
    else:
        console().print("\n".join([*lines(outcome), f"report: {written}", f"{seconds} s"]), markup=False)


def _columns(  # noqa: PLR0913 - as the command
    file: Path,
    mapping: list[str] | None,
    constants: list[str] | None,
    tokenize: list[str] | None,
    token_key_file: Path | None,
    *,
    label: str | None,
    label_time: str | None,
    timezone: str,
) -> tuple[ReadingOptions, Guess]:
    """Return how to read the file, with what had to be guessed."""
    try:
        available = open_source(file).columns
        said, fixed = pairs(mapping or (), "--map"), pairs(constants or (), "--set")
    except TabularError as error:
        fail(str(error))
    guess = guess_columns(available, mapping=said, constants=list(fixed), label=label, label_time=label_time)
    if guess.label is None:
        fail(f"no column tells fraud: name it with --label COLUMN; the file has {', '.join(available)}")
    if "currency" not in {*fixed, *guess.fields.values(), *available}:
        fixed["currency"] = ASSUMED_CURRENCY
        console(stderr=True).print(f"amounts are taken for {ASSUMED_CURRENCY}; --set currency=CODE says otherwise")
    options = reading_options(
        [f"{theirs}={ours}" for theirs, ours in guess.fields.items()],
        [f"{field}={value}" for field, value in fixed.items()],
        tokenize,
        token_key_file,
        timezone=timezone,
        label=guess.label,
        label_time=guess.label_time,
    )
    try:
        options.columns(available)
    except TabularError as error:
        fail(str(error))
    return options, guess


def _show(guess: Guess, options: ReadingOptions, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "map": dict(guess.fields),
                "set": dict(options.constants),
                "label": guess.label,
                "label_time": guess.label_time,
                "guessed": dict(guess.guessed),
            }
        )
        return
    taken = [*guess.fields.items(), (guess.label, "label"), (guess.label_time, "label time")]
    lines = [
        f"{column} -> {target}{' (guessed)' if column in guess.guessed else ''}" for column, target in taken if column
    ]
    lines += [f"{field} = {value} in every row" for field, value in options.constants.items()]
    console().print("\n".join(lines), markup=False)


def _confirm(guess: Guess, *, yes: bool) -> None:
    if not guess.guessed or yes:
        return
    shown = ", ".join(f"{column} for {target}" for column, target in guess.guessed.items())
    if not sys.stdin.isatty():
        said = " ".join(
            f"--label {column}"
            if target == "label"
            else f"--label-time {column}"
            if target == "label time"
            else f"--map {column}={target}"
            for column, target in guess.guessed.items()
        )
        fail(f"these columns would be guessed: {shown}. Confirm with --yes, or say it: {said}")
    if not typer.confirm(f"Take {shown}?", err=True):
        fail("the columns were not confirmed; name them with --map and --label")


def _run(file: Path, options: ReadingOptions, asked: Asked, label_delay_ms: int) -> Backtest:
    os.environ.update(ENVIRONMENT)  # before the libraries that read it are loaded
    from functions.train.backtest.file_history import FileHistory  # noqa: PLC0415
    from functions.train.backtest.run import backtest  # noqa: PLC0415
    from functions.train.settings import TrainSettings  # noqa: PLC0415
    from shared.scoring.errors import BundleError  # noqa: PLC0415

    settings = TrainSettings()
    with tempfile.TemporaryDirectory(prefix="fraud-backtest-") as folder:
        table = read_file(file, options, Path(folder))
        history = FileHistory(
            table=table.path,
            name=file.name,
            label_delay_ms=label_delay_ms,
            workspace=Path(folder),
            threads=settings.fraud_training_threads,
        )
        try:
            with _progress():
                return backtest(history, asked, settings, _registry())
        except (TrainingRefused, BundleError) as refused:
            fail(str(refused))


def _registry() -> str | None:
    try:
        return os.environ.get("MLFLOW_TRACKING_URI") or running_stack().mlflow_uri
    except StackNotRunning:
        return None


@contextmanager
def _progress() -> Iterator[None]:
    """Show the training's stages while they last."""
    logger = logging.getLogger("functions.train")
    with console(stderr=True).status("training") as status:
        handler = _Line(status.update)
        logger.addHandler(handler)
        before, logger.level, logger.propagate = (logger.level, logger.propagate), logging.INFO, False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.level, logger.propagate = before


class _Line(logging.Handler):
    def __init__(self, show: Callable[[str], Any]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(record.getMessage())


def _moment(text: str | None, zone: Any) -> int | None:
    """Read a date, or a date and time, as UTC milliseconds; a date is its midnight."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a date nor a date and time", param_hint="DATE") from None
    return to_milliseconds((moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC))


def _duration(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([dhms])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration such as 7d or 36h", param_hint="--label-delay")
    return int(float(found[1]) * _UNITS_MS[found[2]])
