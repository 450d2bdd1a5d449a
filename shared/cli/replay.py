"""`fraud replay`: a file of transactions through the live scorer."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.cli.output import console, fail, print_json
from shared.cli.reading import KEY_VARIABLE, read_file, reading_options
from shared.cli.stack_state import running_stack
from shared.replay.client import ReplayFailed
from shared.replay.journal import Journal
from shared.replay.output import FORMATS, write_decisions
from shared.replay.run import ReplayPlan, ReplayTally, count_decisions, replay
from shared.replay.verify import Verification, verify
from shared.tabular import ReadingOptions, TransactionTable
from shared.tabular.rejected import RejectedRows, rejected_path


def command(  # noqa: PLR0913 - the options of a command line
    file: Annotated[Path, typer.Argument(help="CSV, CSV.gz or Parquet file of transactions.")],
    *,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="Column to use as a field; repeatable.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Value for all rows; repeatable.")
    ] = None,
    tokenize: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Replace raw card numbers by a keyed digest; repeatable.")
    ] = None,
    token_key_file: Annotated[
        Path | None, typer.Option(help=f"File with the key of the digest; else the variable {KEY_VARIABLE}.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times that come without one.")] = "UTC",
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows of the file.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Decisions go here: .parquet or .jsonl. A broken-off replay goes on.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Scorer; default: that of the running system.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Batches under way at once.")] = 4,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Transactions in a batch.")] = 64,
    patience: Annotated[float, typer.Option(min=1, help="Seconds to wait for a scorer that is away.")] = 60.0,
    accept_degraded: Annotated[
        bool,
        typer.Option("--accept-degraded", help="Take decisions made while the feature store is away, else ask again."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--verify", help="Compare the features (of merchants none) with the history engine's.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Decide each transaction of a file once, in event-time order, each card strictly in order.

    Columns have our names or are mapped; fields that the file lacks stay unknown. Refused rows go to
    FILE.rejected.jsonl with the reason.

    Example: fraud replay cards.csv --map AMT=amount --set currency=EUR --out decisions.parquet
    """
    started = time.monotonic()
    if out is not None and out.suffix not in FORMATS:
        raise typer.BadParameter(f"must end in {' or '.join(FORMATS)}", param_hint="--out")
    options = reading_options(mapping, constants, tokenize, token_key_file, timezone=timezone, rows=rows)
    plan = ReplayPlan(
        url=url or running_stack().scorer_url,
        lanes=concurrency,
        batch=batch,
        patience_seconds=patience,
        accept_degraded=accept_degraded,
    )
    summary, verification = _run(file, out, options, plan, check=check)
    summary["seconds"] = round(time.monotonic() - started, 3)
    if as_json:
        print_json(summary)
    else:
        _print(summary, verification)
    if verification is not None and not verification.passed:
        fail(_difference(verification))


def _run(
    file: Path, out: Path | None, options: ReadingOptions, plan: ReplayPlan, *, check: bool
) -> tuple[dict[str, Any], Verification | None]:
    with tempfile.TemporaryDirectory(prefix="fraud-replay-") as folder:
        workspace = Path(folder)
        table = read_file(file, options, workspace)
        partial = out.with_name(out.name + ".partial") if out else workspace / "journal.jsonl"
        with Journal(partial, _identity(file, options, plan)) as journal:
            tally = _send(table, journal, plan)
            count_decisions(journal, tally)
            with RejectedRows(rejected_path(file), keep=True) as rejected:
                for refusal in journal.refusals():
                    rejected.add(*refusal)
            if out is not None:
                write_decisions(journal.rows, out)
            verification = verify(table.path, journal, workspace) if check else None
            if out is not None:
                journal.remove()
            summary = _summary(file, table, journal, tally, verification)
    return summary | {"out": str(out) if out else None}, verification


def _send(table: TransactionTable, journal: Journal, plan: ReplayPlan) -> ReplayTally:
    remarks = console(stderr=True)
    if journal.resumed:
        remarks.print(f"going on after {journal.resumed:,} transactions", markup=False)
    columns = (TextColumn("deciding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=remarks) as progress:
        task = progress.add_task("deciding", total=table.rows, completed=journal.resumed)
        try:
            return replay(table, journal, plan, lambda done: progress.update(task, completed=done))
        except ReplayFailed as error:
            fail(f"{error}; with --out, the same command goes on from here")


def _identity(file: Path, options: ReadingOptions, plan: ReplayPlan) -> dict[str, Any]:
    """Return what must be equal for a replay to be gone on with."""
    found = file.stat()
    return {
        "file": str(file.resolve()),
        "size": found.st_size,
        "modified_ns": found.st_mtime_ns,
        "map": dict(options.rename),
        "set": dict(options.constants),
        "tokenize": sorted(options.tokenize),
        "timezone": options.timezone,
        "rows": options.rows,
        "url": plan.url,
    }


def _summary(
    file: Path, table: TransactionTable, journal: Journal, tally: ReplayTally, verification: Verification | None
) -> dict[str, Any]:
    refused = table.rows - tally.decisions.total()
    return {
        "file": str(file),
        "rows": table.read,
        "decisions": tally.decisions.total(),
        "refused": table.refused + refused,
        "rejected": str(rejected_path(file)) if table.refused + refused else None,
        "ignored_columns": list(table.ignored),
        "assumed_timezone": table.assumed_zone,
        "by_decision": {name: tally.decisions[name] for name in ("approve", "review", "decline")},
        "degraded": tally.degraded,
        "model_versions": dict(tally.model_versions),
        "resumed_after": journal.resumed,
        "retries": tally.retries,
        "asked_again": tally.asked_again,
        "verification": None
        if verification is None
        else {
            "decisions": verification.decisions,
            "mismatches": verification.mismatches,
            "degraded": verification.degraded,
            "by_feature": dict(verification.by_feature),
            "examples": verification.examples,
        },
    }


def _print(summary: dict[str, Any], verification: Verification | None) -> None:
    rate = summary["decisions"] / max(summary["seconds"], 1e-9)
    verdicts = ", ".join(f"{name} {count:,}" for name, count in summary["by_decision"].items())
    models = ", ".join(summary["model_versions"])
    lines = [
        f"{summary['decisions']:,} decisions in {summary['seconds']:.1f} s ({rate:,.0f}/s): {verdicts}",
        f"model {models or '-'}; degraded {summary['degraded']:,}; refused {summary['refused']:,}",
    ]
    if summary["out"]:
        lines.append(f"written to {summary['out']}")
    if verification is not None:
        lines.append(str(verification))
    console().print("\n".join(lines), markup=False)


def _difference(verification: Verification) -> str:
    lines = [f"the features are not all those of the history engine: {verification}"]
    lines += [
        f"  {found['transaction_id']} {found['feature']}: online {found['online']}, history {found['history']}"
        for found in verification.examples
    ]
    if verification.mismatches:
        lines.append("(cards that the system knew before from elsewhere differ rightly)")
    return "\n".join(lines)
