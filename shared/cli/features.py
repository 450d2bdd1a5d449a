"""`fraud features`: the reference of all features, generated from the catalogue."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shared.cli.output import console, print_json
from shared.features.catalogue import CATALOGUE, Catalogue, Entity, Feature
from shared.features.definition import DAY_MS
from shared.features.phrases import span


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List every feature in the order of the vector: name, meaning, window, unit, and when it is null.

    Example: fraud features
    """
    if as_json:
        print_json(reference(CATALOGUE))
    else:
        show(CATALOGUE)


def reference(catalogue: Catalogue) -> dict[str, Any]:
    """Return the reference of a catalogue as the JSON output shows it."""
    return {
        "catalogue_version": catalogue.version,
        "label_delay_days": catalogue.settings.label_delay_days,
        "features": [describe(feature, catalogue) for feature in catalogue],
    }


def describe(feature: Feature, catalogue: Catalogue) -> dict[str, Any]:
    """Return one feature as the JSON output shows it; a window or a null rule that it does not have is null.

    While the feature store is away, all but the features of the transaction itself are null.
    """
    return {
        "name": feature.name,
        "meaning": feature.meaning,
        "window": _window(feature, catalogue),
        "unit": feature.unit,
        "null_when": feature.null_when or None,
        "entity": feature.entity.value,
        "kind": feature.kind.value,
    }


def _window(feature: Feature, catalogue: Catalogue) -> str | None:
    if feature.window_ms is None:
        return None
    if feature.entity is Entity.MERCHANT:
        days, delay = feature.window // DAY_MS, catalogue.settings.label_delay_days
        return f"{days} whole UTC day{'' if days == 1 else 's'} until {delay + 1} days before"
    text = span(feature.window)
    return text if text[0].isdigit() else f"1 {text}"


def show(catalogue: Catalogue) -> None:
    """Print the reference as a table."""
    from rich.table import Table  # noqa: PLC0415 - only what prints a table pays for it

    table = Table(box=None, pad_edge=False)
    table.add_column("feature", no_wrap=True)
    for title in ("meaning", "window", "unit", "null when"):
        table.add_column(title)
    for feature in catalogue:
        row = describe(feature, catalogue)
        table.add_row(row["name"], row["meaning"], row["window"] or "-", row["unit"], row["null_when"] or "-")
    console().print(table)
    console().print(
        f"catalogue {catalogue.version}, {len(catalogue)} features; while the feature store is away all are null but "
        f"{', '.join(catalogue.request_only)}"
    )
