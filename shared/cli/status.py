"""Show functions, backing services, decisions, models."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from shared.cli.figures import collect
from shared.cli.output import console, print_json
from shared.cli.stack_state import running_stack
from shared.cli.tables import print_figures


def command(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Show how the running system stands: replicas, lag, decisions, shadow agreement, models.

    Exit status 1 when nothing runs.

    Example: fraud status

    Example: fraud status --json | jq .decisions
    """
    figures = asyncio.run(collect(running_stack()))
    if as_json:
        print_json(figures.document())
    else:
        print_figures(console(), figures)
