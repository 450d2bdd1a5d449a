"""Lua for cards with more transactions than are scanned on each call."""

from __future__ import annotations

from collections.abc import Sequence

from shared.features import templates
from shared.features.definition import DAY_MS, NIGHT_ENDS_MS
from shared.features.online import layout, scan
from shared.features.online.layout import (
    CODE_BYTES,
    HEAD_BYTES,
    SMALL_REF_BYTES,
    TEXT_KINDS,
    Limits,
    counted_texts,
    dated_texts,
)
from shared.features.plan import STORED_TEXTS, Aggregate, Op

_DROPPED_AT_ONCE = 64
_SWEEPS_OF_BLOCK = 4


def pieces(aggregates: Sequence[Aggregate], limits: Limits, asked: Sequence[Aggregate]) -> dict[str, str]:
    """What the script does for large cards, as pieces of it; see `script.render`.

    Raises:
        ValueError: The catalogue looks for an earlier occurrence in a window below a day, which days do not decide.
    """
    for aggregate in aggregates:
        if aggregate.op is Op.MET and aggregate.window_ms < DAY_MS:
            raise ValueError("an earlier occurrence is looked for in windows of a day or more")
    common = _common(aggregates, limits)
    for name, part in _PARTS.items():
        common[part] = _render(f"{name}.lua", common)
    common["TREE"] = _render("tree_large.lua", common)
    for name, part in _GROWTH.items():
        common[part] = _render(f"{name}.lua", common)
    return {
        "READ_LARGE": _render("read_large.lua", common | _reading(asked, limits)),
        "RECORD_LARGE": _render("record_large.lua", common | _recording(aggregates)),
        "PROMOTE": _render("promote.lua", common | _promoting(aggregates)),
        "REFRESH": _render("refresh.lua", common),
    }


_PARTS = {
    "note_large": "NOTE_FUNCTIONS",
    "encode_large": "ENCODE",
    "entries_large": "ENTRIES",
    "trim_large": "TRIM",
    "sweep_large": "SWEEP",
    "split_bucket": "SPLIT_BUCKET",
    "insert_row": "INSERT_ROW",
}
_GROWTH = {"add_block": "ADD_BLOCK", "split_block": "SPLIT_BLOCK"}


def _render(name: str, values: dict[str, str]) -> str:
    return templates.render(__package__, name, values)


def _common(aggregates: Sequence[Aggregate], limits: Limits) -> dict[str, str]:
    counted = counted_texts(aggregates)
    offsets = {field: HEAD_BYTES + CODE_BYTES * k for k, field in enumerate(STORED_TEXTS)}
    keys = [f"prefix .. ':z{TEXT_KINDS[field]}'" for field in counted]
    squares = Aggregate(Op.SQUARES, 0)
    stride = max(limits.block // _SWEEPS_OF_BLOCK, 1)
    return {
        "REFS": ", ".join(STORED_TEXTS),
        "REF_FORMAT": f"I{CODE_BYTES}" * len(STORED_TEXTS),
        "SMALL_REF_FORMAT": f"I{SMALL_REF_BYTES}" * len(STORED_TEXTS),
        "RECORD": str(layout.SMALL_RECORD_BYTES),
        "VERSION": str(layout.VERSION_BYTES),
        "TIED": str(layout.TIED_BYTES),
        "ROOT_HEAD": str(layout.ROOT_HEAD_BYTES),
        "ROOT_ENTRY": str(layout.ROOT_ENTRY_BYTES),
        "ROOT_BASE": layout.ROOT_BASE_FORMAT,
        "PAGE_ENTRY": str(layout.PAGE_ENTRY_BYTES),
        "PAGE_BASE": layout.PAGE_BASE_FORMAT,
        "RUNNING": layout.RUNNING_FORMAT,
        "VALUES": str(layout.VALUES_BYTES),
        "ROW": str(layout.VALUES_BYTES + layout.RUNNING_BYTES),
        "MOMENT": str(layout.TIME_BYTES + CODE_BYTES * len(counted)),
        "NOWHERE": str(layout.NOWHERE),
        "NIGHT_ENDS": str(NIGHT_ENDS_MS),
        "TTL": str(layout.KEY_TTL_MS),
        "BLOCK": str(limits.block),
        "FULL": str(limits.full),
        "STRIDE": str(stride),
        "STRIDE_REST": str(stride // 2),
        "PAGE": str(limits.page),
        "MOST": str(limits.most),
        "DROPS": str(_DROPPED_AT_ONCE),
        "BUCKET": str(limits.bucket),
        "SWEEP": str(limits.sweep),
        "ADD_SQUARE": scan.add(squares, "at", "a").replace(squares.column, "squares"),
        "CODES_OF_VERSION": "".join(f" .. sub(version, {offsets[f] + 1}, {offsets[f] + CODE_BYTES})" for f in counted),
        "CODES_OF_FULL": "".join(f" .. sub(full, {offsets[f] + 1}, {offsets[f] + CODE_BYTES})" for f in counted),
        "TRIM_COUNTED": "\n".join(
            f"call('ZREMRANGEBYSCORE', {key}, '-inf', string.format('(%.0f', horizon))" for key in keys
        ),
        "REFRESH_COUNTED": "\n".join(f"call('PEXPIRE', {key}, {layout.KEY_TTL_MS})" for key in keys),
    }


def _locate(field: str, number: int) -> str:
    return f"""if ARGV[{3 + number}] ~= '' then
  {field} = noted[{2 + number}] and unpack('<I{CODE_BYTES}', noted[{2 + number}]) or -1
end"""


def _reading(aggregates: Sequence[Aggregate], limits: Limits) -> dict[str, str]:
    windows = sorted({aggregate.window_ms for aggregate in aggregates})
    inside, met = [], []
    for window in windows:
        of_window = [_over(a) for a in aggregates if a.window_ms == window and a.op in _OVER]
        if of_window:
            start = f"from_n, from_m, from_i = locate(edge_{window}, from_n, from_m, from_i)\n{_BEFORE_WINDOW}"
            # Windows are gone through from the shortest: where one starts before all records, so do the longer ones.
            inside.append("\n".join(["if from_i > 0 then", start, "end", *of_window]))
    for aggregate in aggregates:
        values = {"NAME": aggregate.column, "EDGE": f"edge_{aggregate.window_ms}", "TEXT": str(aggregate.field)}
        if aggregate.op is Op.MET:
            field = str(aggregate.field)
            number = 2 + STORED_TEXTS.index(field)
            values["ENTRY"] = f"{field} > 0 and (by_code and by_code[{field}][2] or not by_code and noted[{number}])"
            met.append(_render("read_met.lua", values))
    places = [_over_places(a) for a in aggregates if a.op is Op.LATEST_PLACE]
    if places:
        places.insert(0, _render("read_places.lua", {"NOWHERE": str(layout.NOWHERE)}))
    return {
        "TEXT_FIELDS": ", ".join(f"'{TEXT_KINDS[field]}' .. ARGV[{3 + k}]" for k, field in enumerate(STORED_TEXTS)),
        "LOCATE_NOTED": "\n".join(_locate(field, k) for k, field in enumerate(STORED_TEXTS)),
        "LONGEST": str(max(windows, default=1)),
        "RESET": scan.reset(aggregates, windows),
        "READ_WINDOWS": "\n".join(inside),
        "READ_PLACES": "\n".join(places),
        "READ_DISTINCT": _distinct(aggregates, limits),
        "READ_MET": "\n".join(met),
    }


_BEFORE_WINDOW = """from_rank, from_sum_hi, from_sum, from_squares_top, from_squares_hi, from_squares, from_night =
  before(from_n, from_m, from_i)"""
_OVER = {
    Op.COUNT: "@NAME@ = rank - from_rank",
    Op.SUM: "@NAME@_hi, @NAME@ = sum_hi - from_sum_hi, sum - from_sum",
    Op.SQUARES: """@NAME@_top, @NAME@_hi, @NAME@ =
  squares_top - from_squares_top, squares_hi - from_squares_hi, squares - from_squares""",
    Op.NIGHT: "@NAME@ = night - from_night",
    Op.LARGEST: """@NAME@ = largest_between(from_n, from_m, from_i, n, m, i, 0, last_row)
if status ~= 0 and @NAME@ == amount then
  local last_n, last_m, last_i = previous(own_n, own_m, own_i)
  @NAME@ = largest_between(from_n, from_m, from_i, last_n, last_m, last_i, 0)
  @NAME@ = largest_between(own_n, own_m, own_i, n, m, i, @NAME@)
end""",
    Op.LATEST: """if others_i > 0 then
  local last = time(others_n, others_m, others_i)
  if last > @EDGE@ then @NAME@ = last end
end""",
}
"""An aggregate of a window: what lies before its end without what lies before its start."""


def _over(aggregate: Aggregate) -> str:
    return templates.fill(_OVER[aggregate.op], {"NAME": aggregate.column, "EDGE": f"edge_{aggregate.window_ms}"})


def _distinct(aggregates: Sequence[Aggregate], limits: Limits) -> str:
    """How the different values of the counted texts are counted."""
    counted = counted_texts(aggregates)
    parts = []
    for number, field in enumerate(counted):
        of_field = [aggregate for aggregate in aggregates if aggregate.op is Op.DISTINCT and aggregate.field == field]
        others = "x" * CODE_BYTES
        code = f"{'x' * layout.TIME_BYTES}{others * number}I{CODE_BYTES}{others * (len(counted) - 1 - number)}"
        values = {
            "TEXT": field,
            "KIND": TEXT_KINDS[field],
            "EDGE": f"edge_{max(aggregate.window_ms for aggregate in of_field)}",
            "MOMENT": str(layout.TIME_BYTES + CODE_BYTES * len(counted)),
            "CODE_FORMAT": f"<{code * limits.full}",
            "CODE_FORMAT_EACH": str(len(code)),
            "COUNT_SEEN": "\n".join(_count_seen(aggregate) for aggregate in of_field),
            "COUNT_MET": "\n".join(
                f"if at > edge_{a.window_ms} then {a.column} = {a.column} + 1 end" for a in of_field
            ),
        }
        parts.append(_render("read_distinct.lua", values))
    return "\n".join(parts)


def _count_seen(aggregate: Aggregate) -> str:
    name, edge = aggregate.column, f"edge_{aggregate.window_ms}"
    return f"""{name} = call('ZCOUNT', key, string.format('(%.0f', {edge}), upto)
if own_seen > {edge} and own_seen <= t then {name} = {name} - 1 end"""


def _over_places(aggregate: Aggregate) -> str:
    name = aggregate.column
    return f"""if place_at > edge_{aggregate.window_ms} then
  {name}, {name}_latitude, {name}_longitude = place_at, place_latitude, place_longitude
end"""


def _noted(field: str, text: str, dated: Sequence[str]) -> str:
    time = "at" if text.startswith("text_at") else "t"
    return f"note('{TEXT_KINDS[field]}', {text}, {time}, {str(field in dated).lower()})"


def _note_own(aggregates: Sequence[Aggregate]) -> str:
    dated = dated_texts(aggregates)
    return ", ".join(_noted(field, f"ARGV[{3 + k}]", dated) for k, field in enumerate(STORED_TEXTS))


def _counting(aggregates: Sequence[Aggregate], time: str) -> str:
    return "\n".join(
        f"""do
  local code = unpack('<I{CODE_BYTES}', full, {HEAD_BYTES + CODE_BYTES * STORED_TEXTS.index(field) + 1})
  if code > 0 then call('ZADD', prefix .. ':z{TEXT_KINDS[field]}', 'GT', string.format('%.0f', {time}), code) end
end"""
        for field in counted_texts(aggregates)
    )


def _recording(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    fields = [
        f"fields['{TEXT_KINDS[field]}' .. ARGV[{3 + k}]] = noted[{2 + k}] or nil"
        for k, field in enumerate(STORED_TEXTS)
    ]
    return {
        "FIELDS": "\n".join(fields),
        "NOTE_OWN": _note_own(aggregates),
        "COUNT_OWN": _counting(aggregates, "t"),
    }


def _promoting(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    dated = dated_texts(aggregates)
    return {
        "LIST_REFS": ", ".join(f"{field}_ref" for field in STORED_TEXTS),
        "NOTE_REFS": ", ".join(_noted(field, f"text_at({field}_ref)", dated) for field in STORED_TEXTS),
        "COUNT_PROMOTED": _counting(aggregates, "at"),
        "NOTE_OWN": _note_own(aggregates),
        "COUNT_OWN": _counting(aggregates, "t"),
    }
