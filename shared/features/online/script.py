"""The Lua script of the online engine, rendered from the catalogue.

Numbers in Redis' Lua are doubles, so integers are exact below 2^53. Sums are therefore carried in limbs: a sum of
amounts in two (hi * 2^40 + lo), a sum of squares in three (top * 2^80 + hi * 2^40 + lo). 8,192 amounts of 10^12 on top
of a carried limb stay below 2^53, so the limbs are carried once per 8,192 records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.features import templates
from shared.features.definition import DAY_MS, NIGHT_ENDS_MS, RETENTION_MS
from shared.features.plan import STORED_TEXTS, Aggregate, Op

TEXT_KINDS = dict(zip(STORED_TEXTS, "mgcnh", strict=True))
"""The byte that marks each text field in a card's heap; ids have `i`, or `u` for a shortened UUID."""

KEY_TTL_MS = 40 * DAY_MS
"""Wall-clock life of a card's keys after its last recorded transaction, at least `_TTL_REFRESH_MS`."""
_TTL_REFRESH_MS = 33 * DAY_MS

_HEAD_BYTES = 20
_REF_BYTES = 3
_CARRY = 2**40
_NOWHERE = -(2**31)
_OF_OWN = (Op.COUNT, Op.SUM, Op.SQUARES, Op.NIGHT)
"""What counts the transaction itself; the rest looks at the others, or at texts."""


class Script(NamedTuple):
    """A rendered script and the layout of its reply."""

    source: str
    doubles: int
    """Number of doubles in a reply, status first."""
    position: dict[Aggregate, int]
    """Where each aggregate's first limb stands among them."""


def doubles(aggregate: Aggregate) -> int:
    """How many doubles an aggregate is replied in, the highest limb first."""
    return {Op.SUM: 2, Op.SQUARES: 3, Op.LATEST_PLACE: 3}.get(aggregate.op, 1)


def render(aggregates: Sequence[Aggregate]) -> Script:
    """Render the script that records a transaction and reads these aggregates."""
    position, at = {}, 1
    for aggregate in aggregates:
        position[aggregate] = at
        at += doubles(aggregate)
    variables = [variable for aggregate in aggregates for variable in _variables(aggregate)]
    replied = [variable for aggregate in aggregates for variable in _variables(aggregate)[: doubles(aggregate)]]
    windows = sorted({aggregate.window_ms for aggregate in aggregates})
    edges = [f"edge_{window}" for window in windows]
    references = 1 + len(STORED_TEXTS)
    pieces = {
        "RECORD": str(_HEAD_BYTES + _REF_BYTES * references),
        "RETENTION": str(RETENTION_MS),
        "TTL": str(KEY_TTL_MS),
        "TTL_REFRESH": str(_TTL_REFRESH_MS),
        "REF_FORMAT": "I3" * references,
        "REF_COUNT": str(references),
        "REFS": "".join(f", {field}" for field in STORED_TEXTS),
        "MOVED": ", ".join(f"moved[{k}]" for k in range(1, references + 1)),
        "LOCATE_TEXTS": "\n".join(_locate(field, 3 + k) for k, field in enumerate(STORED_TEXTS)),
        "STORE_TEXTS": "\n".join(_store(field, 3 + k) for k, field in enumerate(STORED_TEXTS)),
        "COMPARE_VERSIONS": _compare_versions(),
        "DECLARE": f"local {', '.join([*variables, *edges])}" if variables else "",
        "RESET": "\n".join([_initial(a) for a in aggregates] + [_edge(window) for window in windows]),
        "UNPACK": _unpack(aggregates),
        "ACCUMULATE": _accumulate(aggregates, windows),
        "CARRY": "\n".join(_carry(a) for a in aggregates),
        "ADD_OWN": "\n".join(_add(a, "t", "amount") for a in aggregates if a.op in _OF_OWN),
        "ADD_OWN_TEXTS": "\n".join(
            f"if {a.field} ~= 0 then {a.column} = {a.column} + 1 end" for a in aggregates if a.op is Op.DISTINCT
        ),
        "REPLY_FORMAT": "d" * at,
        "REPLY": "".join(f", {variable}" for variable in replied),
    }
    return Script(templates.render(__package__, "record_and_read.lua", pieces), at, position)


def _variables(aggregate: Aggregate) -> list[str]:
    """The Lua variables of an aggregate: those that are replied first, highest limb first."""
    name = aggregate.column
    match aggregate.op:
        case Op.SUM:
            return [f"{name}_hi", name]
        case Op.SQUARES:
            return [f"{name}_top", f"{name}_hi", name]
        case Op.DISTINCT:
            return [name, f"{name}_only", f"{name}_all"]
        case Op.LATEST_PLACE:
            return [name, f"{name}_latitude", f"{name}_longitude"]
        case _:
            return [name]


def _initial(aggregate: Aggregate) -> str:
    variables = _variables(aggregate)
    nothing = "-1" if aggregate.op in (Op.LATEST, Op.LATEST_PLACE) else "0"
    values = ["nil" if variable.endswith("_all") else nothing for variable in variables]
    return f"{', '.join(variables)} = {', '.join(values)}"


def _edge(window_ms: int) -> str:
    """The exclusive lower edge of a window, never before the horizon."""
    return f"edge_{window_ms} = t - {window_ms}\nif edge_{window_ms} < horizon then edge_{window_ms} = horizon - 1 end"


def _accumulate(aggregates: Sequence[Aggregate], windows: Sequence[int]) -> str:
    """Nested tests from the longest window to the shortest: most transactions fail the second."""
    if not windows:
        return "if false then"
    lines = []
    for k, window in enumerate(reversed(windows)):
        lines.append(f"if {'ti <= t and ' if k == 0 else ''}ti > edge_{window} then")
        lines += [_add(a, "ti", "a") for a in aggregates if a.window_ms == window]
    return "\n".join([*lines, "end\n" * (len(windows) - 1)])


_ADD = {
    Op.COUNT: "@NAME@ = @NAME@ + 1",
    Op.SUM: "@NAME@ = @NAME@ + @AMOUNT@",
    Op.SQUARES: """if @AMOUNT@ < 67108864 then
  @NAME@ = @NAME@ + @AMOUNT@ * @AMOUNT@
else
  local high = floor(@AMOUNT@ / 1048576)
  local low = @AMOUNT@ - high * 1048576
  local cross = 2 * high * low
  local carried = floor(cross / 1048576)
  @NAME@_hi = @NAME@_hi + high * high + carried
  @NAME@ = @NAME@ + (cross - carried * 1048576) * 1048576 + low * low
end
if @NAME@ >= 4503599627370496 then
  local carried = floor(@NAME@ / 1099511627776)
  @NAME@_hi = @NAME@_hi + carried
  @NAME@ = @NAME@ - carried * 1099511627776
end""",
    Op.DISTINCT: """if @TEXT@_ref ~= 0 and @TEXT@_ref ~= @TEXT@ and @TEXT@_ref ~= @NAME@_only then
  if @NAME@ == 0 then
    @NAME@, @NAME@_only = 1, @TEXT@_ref
  elseif not @NAME@_all then
    @NAME@, @NAME@_all = 2, {[@NAME@_only] = true, [@TEXT@_ref] = true}
  elseif not @NAME@_all[@TEXT@_ref] then
    @NAME@ = @NAME@ + 1
    @NAME@_all[@TEXT@_ref] = true
  end
end""",
    Op.NIGHT: f"if @TIME@ % {DAY_MS} < {NIGHT_ENDS_MS} then @NAME@ = @NAME@ + 1 end",
    Op.LARGEST: "if @AMOUNT@ > @NAME@ and p ~= first then @NAME@ = @AMOUNT@ end",
    Op.LATEST: "if @TIME@ > @NAME@ and p ~= first then @NAME@ = @TIME@ end",
    Op.LATEST_PLACE: f"""if latitude ~= {_NOWHERE} and @TIME@ > @NAME@ and p ~= first then
  @NAME@, @NAME@_latitude, @NAME@_longitude = @TIME@, latitude, longitude
end""",
    Op.MET: "if @TEXT@_ref == @TEXT@ and p ~= first then @NAME@ = 1 end",
}


def _add(aggregate: Aggregate, time: str, amount: str) -> str:
    """Add one transaction to an aggregate: a record of the log, or the transaction itself."""
    pieces = {"NAME": aggregate.column, "TIME": time, "AMOUNT": amount, "TEXT": str(aggregate.field)}
    return templates.fill(_ADD[aggregate.op], pieces)


def _unpack(aggregates: Sequence[Aggregate]) -> str:
    """Take what the aggregates need out of a record, in one call: a call costs more than a few more values."""
    needed = {aggregate.field for aggregate in aggregates}
    names, form = ["ti", "a"], "I6I6"
    if any(aggregate.op is Op.LATEST_PLACE for aggregate in aggregates):
        names, form = [*names, "latitude", "longitude"], f"{form}i4i4"
    else:
        form += "x" * 8
    form += "x" * _REF_BYTES
    for field in STORED_TEXTS:
        if field in needed:
            names, form = [*names, f"{field}_ref"], f"{form}I{_REF_BYTES}"
        else:
            form += "x" * _REF_BYTES
    return f"local {', '.join(names)} = unpack('<{form.rstrip('x')}', log, p)"


def _carry(aggregate: Aggregate) -> str:
    variables = _variables(aggregate)
    match aggregate.op:
        case Op.SUM:
            high, low = variables
        case Op.SQUARES:
            high, low, _ = variables
        case _:
            return ""
    return f"""if {low} >= {_CARRY} then
  local carried = floor({low} / {_CARRY})
  {high} = {high} + carried
  {low} = {low} - carried * {_CARRY}
end"""


def _locate(field: str, argument: int) -> str:
    return f"""local {field} = 0
if ARGV[{argument}] ~= '' then
  {field} = find(heap, '\\0{TEXT_KINDS[field]}' .. ARGV[{argument}] .. '\\0', 1, true)
  {field} = {field} and {field} + 1 or -1
end"""


def _store(field: str, argument: int) -> str:
    return f"""if {field} == -1 then
  {field} = length + #texts + 1
  texts = texts .. '{TEXT_KINDS[field]}' .. ARGV[{argument}] .. '\\0'
end"""


def _compare_versions() -> str:
    """Take the values of the first version; another version of the id is a conflict."""
    known = [f"known_{field}" for field in STORED_TEXTS]
    differ = " or ".join(f"{one} ~= {field}" for one, field in zip(known, STORED_TEXTS, strict=True))
    return f"""local {", ".join(known)} = unpack('<{"I3" * len(known)}', log, first + {_HEAD_BYTES + _REF_BYTES})
if sub(log, first, first + {_HEAD_BYTES - 1}) ~= head or {differ} then
  status = 2
  t, amount = unpack('<I6I6', log, first)
  {", ".join(STORED_TEXTS)} = {", ".join(known)}
end"""
