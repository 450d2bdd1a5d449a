"""`fraud runs`: what the scheduled functions have done."""

from __future__ import annotations

import heapq
import itertools
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.cli.output import console, fail, print_json
from shared.cli.stack_state import running_stack
from shared.lake.errors import LakeAway

if TYPE_CHECKING:
    from shared.lake.settings import LakeSettings
    from shared.runs.record import RunRecord
    from shared.runs.store import RunStore

_COLOURS = {"done": "green", "skipped": "dim", "refused": "yellow", "failed": "red", "died": "red", "running": "cyan"}
_LONGEST_REASON = 90


def command(
    function: Annotated[str | None, typer.Option(help="Only this function's, such as train.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed or died.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most runs to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List the runs of the scheduled functions, newest first: trigger, duration, outcome and why.

    Example: fraud runs --function train --failed
    """
    store = open_store()
    now = datetime.now(UTC)
    try:
        names = [function] if function else store.functions()
        each = [store.latest(name, failed=failed, now=now) for name in names]
        newest = heapq.merge(*each, key=lambda run: run.run_id, reverse=True)
        runs = list(itertools.islice(newest, limit))
    except LakeAway as away:
        fail(f"the runs cannot be read: {away}")
    if as_json:
        print_json({"runs": [describe(run, now) for run in runs]})
    elif not runs:
        console(stderr=True).print("no such run")
    else:
        _show(runs, now)


def open_store() -> RunStore:
    """Return where runs are kept: by the environment's settings, else the running system's.

    Raises:
        StackNotRunning: Neither is there.
    """
    from shared.lake.objects import Objects  # noqa: PLC0415 - boto3, which other commands do not need
    from shared.runs.store import FOLDER, RunStore  # noqa: PLC0415

    return RunStore(Objects(lake_settings(), FOLDER))


def lake_settings() -> LakeSettings:
    """Return where the lake is: by `AWS_ENDPOINT_URL` in the environment, else the running system's.

    Raises:
        StackNotRunning: Neither is there.
    """
    from shared.lake.settings import LakeSettings  # noqa: PLC0415 - as above

    if "AWS_ENDPOINT_URL" in os.environ:
        return LakeSettings()
    known = {name.lower(): value for name, value in running_stack().environment.items()}
    return LakeSettings.model_validate({name: known[name] for name in LakeSettings.model_fields if name in known})


def describe(run: RunRecord, now: datetime) -> dict[str, Any]:
    """Return a run as the JSON output shows it."""
    return {**run.model_dump(mode="json"), "outcome": run.state(now), "seconds": run.seconds}


def _show(runs: list[RunRecord], now: datetime) -> None:
    from rich.table import Table  # noqa: PLC0415 - only what prints a table pays for it
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for title in ("run", "function", "trigger", "started (UTC)", "seconds", "outcome", "why"):
        table.add_column(title, justify="right" if title == "seconds" else "left")
    for run in runs:
        state = run.state(now)
        missed = f"{run.missed} scheduled before it did not happen. " if run.missed else ""
        reason = "".join(one if one.isprintable() else " " for one in missed + run.reason)
        table.add_row(
            run.run_id,
            Text(run.function),
            run.trigger.kind,
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            "-" if run.seconds is None else f"{run.seconds:.1f}",
            Text(state, style=_COLOURS[state]),
            Text(reason[:_LONGEST_REASON]),
        )
    console().print(table)
