"""Lua that accumulates aggregates over scanned records.

Numbers in Redis' Lua are doubles, so integers are exact below 2^53. Sums are therefore carried in limbs: a sum of
amounts in two (hi * 2^40 + lo), a sum of squares in three (top * 2^80 + hi * 2^40 + lo). 8,192 amounts of 10^12 on top
of a carried limb stay below 2^53, so the limbs are carried once per 8,192 records.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.features import templates
from shared.features.definition import DAY_MS, NIGHT_ENDS_MS
from shared.features.online.layout import NOWHERE, SMALL_RECORD_BYTES, SMALL_REF_BYTES
from shared.features.plan import STORED_TEXTS, Aggregate, Op

_CARRY = 2**40
OF_OWN = (Op.COUNT, Op.SUM, Op.SQUARES, Op.NIGHT)
"""What counts the transaction itself; the rest looks at the others, or at texts."""


def doubles(aggregate: Aggregate) -> int:
    """How many doubles an aggregate is replied in, the highest limb first."""
    return {Op.SUM: 2, Op.SQUARES: 3, Op.LATEST_PLACE: 3}.get(aggregate.op, 1)


def variables(aggregate: Aggregate) -> list[str]:
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


def initial(aggregate: Aggregate) -> str:
    """Set an aggregate to that of no transactions."""
    names = variables(aggregate)
    nothing = "-1" if aggregate.op in (Op.LATEST, Op.LATEST_PLACE) else "0"
    values = ["nil" if variable.endswith("_all") else nothing for variable in names]
    return f"{', '.join(names)} = {', '.join(values)}"


def edge(window_ms: int) -> str:
    """The exclusive lower edge of a window, never before the horizon."""
    return f"edge_{window_ms} = t - {window_ms}\nif edge_{window_ms} < horizon then edge_{window_ms} = horizon - 1 end"


def bands(windows: Sequence[int]) -> list[str]:
    """Variables for the number and sum of what lies in each window but in no shorter one; sums have two limbs."""
    return [f"{name}_{window}" for window in windows for name in ("number", "spent", "spent_hi")]


def reset(aggregates: Sequence[Aggregate], windows: Sequence[int]) -> str:
    """Set all to that of no transactions, and the edges of the windows."""
    lines = [initial(aggregate) for aggregate in aggregates] + [edge(window) for window in windows]
    return "\n".join(lines)


def loop(aggregates: Sequence[Aggregate], windows: Sequence[int]) -> str:
    """Go over the records of a chunk and accumulate.

    Tests are nested from the longest window to the shortest, for most transactions fail the second, and a transaction
    is counted once, in the shortest window it lies in.

    Args:
        aggregates: What to accumulate.
        windows: Their windows, ascending.
    """
    here = [a for a in aggregates if a.op not in (Op.COUNT, Op.SUM)]
    inside = ""
    for k, window in enumerate(windows):
        counted = f"number_{window} = number_{window} + 1\nspent_{window} = spent_{window} + a"
        if k > 0:
            counted = f"if ti > edge_{windows[k - 1]} then\n{inside}\nelse\n{counted}\nend"
        inside = "\n".join([*(add(a, "ti", "a") for a in here if a.window_ms == window), counted])
    test = f"ti <= t and ti > edge_{windows[-1]}" if windows else "false"
    return f"""for p = chunk, stop, {SMALL_RECORD_BYTES} do
  {unpack(here)}
  if ti > newest then newest = ti end
  if {test} then
    {inside}
  elseif ti < horizon then dead = dead + 1 end
end"""


def total(aggregates: Sequence[Aggregate], windows: Sequence[int]) -> str:
    """Make counts and sums of windows from those of the bands."""
    lines = []
    for aggregate in aggregates:
        within = [window for window in windows if window <= aggregate.window_ms]
        if aggregate.op is Op.COUNT:
            lines.append(f"{aggregate.column} = {' + '.join(f'number_{window}' for window in within)}")
        elif aggregate.op is Op.SUM:
            high, low = variables(aggregate)
            lines.append(f"{high} = {' + '.join(f'spent_hi_{window}' for window in within)}")
            lines.append(f"{low} = {' + '.join(f'spent_{window}' for window in within)}")
    return "\n".join(lines)


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
    Op.LATEST_PLACE: f"""if latitude ~= {NOWHERE} and @TIME@ > @NAME@ and p ~= first then
  @NAME@, @NAME@_latitude, @NAME@_longitude = @TIME@, latitude, longitude
end""",
    Op.MET: "if @TEXT@_ref == @TEXT@ and p ~= first then @NAME@ = 1 end",
}


def add(aggregate: Aggregate, time: str, amount: str) -> str:
    """Add one transaction to an aggregate: a record of the log, or the transaction itself."""
    pieces = {"NAME": aggregate.column, "TIME": time, "AMOUNT": amount, "TEXT": str(aggregate.field)}
    return templates.fill(_ADD[aggregate.op], pieces)


def unpack(aggregates: Sequence[Aggregate]) -> str:
    """Take what the aggregates need out of a record, in one call: a call costs more than a few more values."""
    needed = {aggregate.field for aggregate in aggregates}
    names, form = ["ti", "a"], "I6I6"
    if any(aggregate.op is Op.LATEST_PLACE for aggregate in aggregates):
        names, form = [*names, "latitude", "longitude"], f"{form}i4i4"
    else:
        form += "x" * 8
    for field in STORED_TEXTS:
        if field in needed:
            names, form = [*names, f"{field}_ref"], f"{form}I{SMALL_REF_BYTES}"
        else:
            form += "x" * SMALL_REF_BYTES
    return f"local {', '.join(names)} = unpack('<{form.rstrip('x')}', log, p)"


def carry(aggregates: Sequence[Aggregate], windows: Sequence[int]) -> str:
    """Carry the limbs that 8,192 records may fill."""
    limbs = [(f"spent_hi_{window}", f"spent_{window}") for window in windows]
    limbs += [(variables(a)[0], variables(a)[1]) for a in aggregates if a.op is Op.SQUARES]
    return "\n".join(
        f"""if {low} >= {_CARRY} then
  local carried = floor({low} / {_CARRY})
  {high} = {high} + carried
  {low} = {low} - carried * {_CARRY}
end"""
        for high, low in limbs
    )
