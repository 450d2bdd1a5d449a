"""Entry point of the `fraud` command: finds the commands, and imports the one that is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

from shared.cli.output import EXIT_DONE, EXIT_FAILED, CommandFailed

# In the order of `fraud --help`.
_OWN: Final = {
    name: f"shared.cli.{name.replace('-', '')}"
    for name in (
        "up",
        "down",
        "status",
        "logs",
        "load",
        "replay",
        "train",
        "drift",
        "promote",
        "rollback",
        "models",
        "runs",
        "rerun",
        "features",
        "dead-letters",
    )
}
_FUNCTIONS_GROUP: Final = "fraud.commands"


def _commands() -> dict[str, str]:
    """Return "module:attribute" by command name: those of this package, then those the functions bring."""
    own = {name: f"{module}:" for name, module in _OWN.items()}
    brought = {point.name: point.value for point in entry_points(group=_FUNCTIONS_GROUP)}
    return own | brought


def _summary(module: str) -> str:
    """Return the first line of a module's docstring without importing the module."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    line = docstring.partition("\n")[0]
    # "`fraud load`: send transactions ..." is listed as "Send transactions ..."
    _, colon, rest = line.partition("`: ")
    text = rest if line.startswith("`fraud") and colon else line
    return text[:1].upper() + text[1:]


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's signature
        return list(_commands())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = _commands().get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found.partition(":")
        if ctx.resilient_parsing or _only_listing():
            return typer.main.get_command(_named(cmd_name, _placeholder(_summary(module))))
        return _load(cmd_name, module, attribute)


def _only_listing() -> bool:
    """Whether this run prints the list of commands, which needs no command itself."""
    return all(argument.startswith("-") for argument in sys.argv[1:])


def _placeholder(summary: str) -> Callable[[], None]:
    def listed() -> None:
        """Stand in for a command that is only listed."""

    listed.__doc__ = summary
    return listed


def _named(name: str, function: Callable[..., Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(function)
    return app


def _load(name: str, module: str, attribute: str) -> Any:
    loaded = import_module(module)
    target = getattr(loaded, attribute) if attribute else getattr(loaded, "app", None) or loaded.command
    app = target if isinstance(target, typer.Typer) else _named(name, target)
    command = typer.main.get_command(app)
    command.name = name
    return command


# Plain help: loading rich would double the time to `fraud --help`.
app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _fraud() -> None:
    """Real-time card-fraud detection on one machine.

    Example: fraud up && fraud status

    Each command tells more: fraud COMMAND --help
    """


def main() -> None:
    """Run the command line; exit status 0 done, 1 refused or failed with the reason on stderr, 2 wrong use."""
    try:
        app()
    except CommandFailed as refusal:
        sys.stderr.write(f"fraud: {refusal}\n")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(EXIT_DONE)
