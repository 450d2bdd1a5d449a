"""`fraud rerun`: do a run again."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.cli.asking import tell
from shared.cli.output import console, fail, print_json
from shared.cli.runs import open_store
from shared.lake.errors import LakeAway


def command(
    run: Annotated[str, typer.Argument(help="Id of the run, as `fraud runs` shows it.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Ask the function of a run again for what it was asked for then, and wait for it.

    Example: fraud rerun 20260115T023000004Z-3f9a1c
    """
    try:
        record = open_store().find(run)
    except LakeAway as away:
        fail(f"the runs cannot be read: {away}")
    if record is None:
        fail(f"there is no run {run}: `fraud runs` lists them")
    tell(record.function, record.trigger.request or {}, rerun_of=record.run_id)
    if as_json:
        print_json({"function": record.function, "rerun_of": run})
    else:
        console().print(f"{record.function} has done it again: `fraud runs --function {record.function}` shows how")
