"""The Lua script of the online engine, rendered from the catalogue. `layout` says what the keys hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.features import templates
from shared.features.definition import RETENTION_MS
from shared.features.online import large, layout, scan
from shared.features.online.layout import SMALL_REF_BYTES, TEXT_KINDS, Limits
from shared.features.plan import STORED_TEXTS, Aggregate, Op


class Script(NamedTuple):
    """A rendered script and the layout of its reply."""

    source: str
    doubles: int
    """Number of doubles in a reply, status first."""
    position: dict[Aggregate, int]
    """Where each aggregate's first limb stands among them."""


def render(kept: Sequence[Aggregate], limits: Limits, asked: Sequence[Aggregate] | None = None) -> Script:
    """Render the script that records a transaction and reads its aggregates.

    Args:
        kept: What can be read of the card: it decides what the keys hold.
        limits: Sizes of what is kept.
        asked: What the script reads; all that is kept, unless said.

    Raises:
        ValueError: An aggregate cannot be answered for large cards.
    """
    aggregates = kept if asked is None else asked
    position, at = {}, 1
    for aggregate in aggregates:
        position[aggregate] = at
        at += scan.doubles(aggregate)
    windows = sorted({aggregate.window_ms for aggregate in aggregates})
    variables = [variable for aggregate in aggregates for variable in scan.variables(aggregate)] + scan.bands(windows)
    replied = [variable for a in aggregates for variable in scan.variables(a)[: scan.doubles(a)]]
    edges = [f"edge_{window}" for window in windows]
    references = 1 + len(STORED_TEXTS)
    counted = [aggregate for aggregate in aggregates if aggregate.op is Op.DISTINCT]
    pieces = {
        "RETENTION": str(RETENTION_MS),
        "TTL_REFRESH": str(layout.TTL_REFRESH_MS),
        "REFS": ", ".join(STORED_TEXTS),
        "TEXTS": f"local {', '.join(STORED_TEXTS)} = {', '.join('0' for _ in STORED_TEXTS)}",
        "DECLARE": f"local {', '.join([*variables, *edges])}" if variables else "",
        "ADD_OWN": "\n".join(scan.add(a, "t", "amount") for a in aggregates if a.op in scan.OF_OWN),
        "ADD_OWN_TEXTS": "\n".join(f"if {a.field} ~= 0 then {a.column} = {a.column} + 1 end" for a in counted),
        "REPLY_FORMAT": "d" * at,
        "REPLY": "".join(f", {variable}" for variable in replied),
    } | large.pieces(kept, limits, aggregates)
    small = {
        "PROMOTE": pieces["PROMOTE"],
        "RECORD": str(layout.SMALL_RECORD_BYTES),
        "VERSION": str(layout.SMALL_VERSION_BYTES),
        "RETENTION": str(RETENTION_MS),
        "SMALL": str(limits.small),
        "HEAP": str(limits.heap),
        "REF_FORMAT": f"I{SMALL_REF_BYTES}" * len(STORED_TEXTS),
        "REF_COUNT": str(references),
        "REFS": ", ".join(STORED_TEXTS),
        "PACK_RECORD": f"pack('<{f'I{SMALL_REF_BYTES}' * references}', {', '.join(STORED_TEXTS)}, id_ref)",
        "MOVED": ", ".join(f"moved[{k}]" for k in range(1, references + 1)),
        "LOCATE_TEXTS": "\n".join(_locate(field, 3 + k) for k, field in enumerate(STORED_TEXTS)),
        "STORE_TEXTS": "\n".join(_store(field, 3 + k) for k, field in enumerate(STORED_TEXTS)),
        "RESET": "\n".join([scan.reset(aggregates, windows), *[f"{name} = 0" for name in scan.bands(windows)]]),
        "SCAN": scan.loop(aggregates, windows),
        "TOTAL": scan.total(aggregates, windows),
        "CARRY": scan.carry(aggregates, windows),
    }
    pieces["READ_SMALL"] = templates.render(__package__, "read_small.lua", small)
    pieces["RECORD_SMALL"] = templates.render(__package__, "record_small.lua", small)
    return Script(templates.render(__package__, "record_and_read.lua", pieces), at, position)


def _locate(field: str, argument: int) -> str:
    return f"""if ARGV[{argument}] ~= '' then
  {field} = find(heap, '\\0{TEXT_KINDS[field]}' .. ARGV[{argument}] .. '\\0', 1, true)
  {field} = {field} and {field} + 1 or -1
end"""


def _store(field: str, argument: int) -> str:
    return f"""if {field} == -1 then
  {field} = length + #texts + 1
  texts = texts .. '{TEXT_KINDS[field]}' .. ARGV[{argument}] .. '\\0'
end"""
