"""`fraud rollback`: make the previous champion the champion again."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.cli.asking import ask
from shared.cli.output import console, print_json
from shared.cli.promote import FUNCTION, show


def command(
    url: Annotated[
        str | None, typer.Option(help="Address of the promote function; default the running system's.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Make the previous champion the champion again; scorers follow within seconds, between two requests.

    Example: fraud rollback
    """
    outputs = ask(FUNCTION, {"action": "rollback"}, url).outputs
    if as_json:
        print_json(outputs)
    else:
        show(console(), outputs)
