"""`fraud promote`: weigh the challenger against the champion now."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.cli.asking import ask
from shared.cli.output import console, print_json

if TYPE_CHECKING:
    from rich.console import Console

FUNCTION = "promote"


def command(
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Weigh what was known at the beginning of this day (UTC)."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the function; default the running system's.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Weigh the challenger by its shadow evidence: promote, keep or reject it, and show the reasons.

    Example: fraud promote
    """
    with console(stderr=True).status("weighing the evidence"):
        outputs = ask(FUNCTION, {} if as_of is None else {"as_of": f"{as_of:%Y-%m-%d}"}, url).outputs
    if as_json:
        print_json(outputs)
    else:
        show(console(), outputs)


def show(to: Console, outputs: dict[str, Any]) -> None:
    """Print a verdict with its reasons."""
    if outputs["verdict"] is None:
        to.print(f"nothing to weigh: {'; '.join(outputs['reasons'])}")
        return
    to.print(f"version {outputs['version']} [bold]{outputs['verdict']}[/]; champion is version {outputs['champion']}")
    for reason in outputs["reasons"]:
        to.print(f"  {reason}")
    evidence = outputs["evidence"]
    for name, key in (("decisions", "agreement"), ("alerts", "alert_agreement")) if evidence else ():
        one = evidence[key]
        if one["of"]:
            to.print(f"  agreement among {one['of']:,} {name}: {_percent(one)}")


def _percent(share: dict[str, Any]) -> str:
    return f"{share['percent']:.2f} % ({share['lower']:.2f} to {share['upper']:.2f})"
