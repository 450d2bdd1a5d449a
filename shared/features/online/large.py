"""Lua for cards with more transactions than are scanned on each call."""

from __future__ import annotations

from collections.abc import Sequence

from shared.features import templates
from shared.features.definition import DAY_MS, NIGHT_ENDS_MS
from shared.features.online import layout
from shared.features.online.layout import (
    HEAD_BYTES,
    ORDER_BYTES,
    REF_BYTES,
    TEXT_KINDS,
    Limits,
    counted_texts,
    dated_texts,
)
from shared.features.online.scan import add
from shared.features.plan import STORED_TEXTS, Aggregate, Op


def pieces(aggregates: Sequence[Aggregate], limits: Limits) -> dict[str, str]:
    """What the script does for large cards, as pieces of it.

    Raises:
        ValueError: The catalogue looks for an earlier occurrence in a window below a day, which days do not decide.
    """
    for aggregate in aggregates:
        if aggregate.op is Op.MET and aggregate.window_ms < DAY_MS:
            raise ValueError("an earlier occurrence is looked for in windows of a day or more")
    common = _common(aggregates, limits)
    common["WRITE_FUNCTIONS"] = _render("write_large.lua", common)
    return {
        "TEXT_FIELDS": ", ".join(f"'{TEXT_KINDS[field]}' .. ARGV[{3 + k}]" for k, field in enumerate(STORED_TEXTS)),
        "LOCATE_NOTED": "\n".join(_locate(field, k) for k, field in enumerate(STORED_TEXTS)),
        "READ_LARGE": _render("read_large.lua", common | _reading(aggregates)),
        "RECORD_LARGE": _render("record_large.lua", common | _recording(aggregates)),
        "PROMOTE": _render("promote.lua", common | _promoting(aggregates)),
        "REFRESH": _render("refresh.lua", common),
        "BUCKETS": str(limits.buckets),
    }


def _render(name: str, values: dict[str, str]) -> str:
    return templates.render(__package__, name, values)


def _common(aggregates: Sequence[Aggregate], limits: Limits) -> dict[str, str]:
    counted = counted_texts(aggregates)
    values = HEAD_BYTES - 6 + REF_BYTES * len(counted) + ORDER_BYTES
    offsets = {field: HEAD_BYTES + REF_BYTES * k for k, field in enumerate(STORED_TEXTS)}
    keys = [f"prefix .. ':z{TEXT_KINDS[field]}'" for field in counted]
    squares = Aggregate(Op.SQUARES, 0)
    night = f"if at % {DAY_MS} < {NIGHT_ENDS_MS} then night = night + 1 end"
    return {
        "REF_FORMAT": f"I{REF_BYTES}" * len(STORED_TEXTS),
        "INDEX_HEAD": str(layout.INDEX_BYTES),
        "INDEX_FORMAT": layout.INDEX_FORMAT,
        "ROW": str(values + layout.RUNNING_BYTES),
        "VALUES": str(values),
        "NOWHERE": str(layout.NOWHERE),
        "TTL": str(layout.KEY_TTL_MS),
        "BLOCK": str(limits.block),
        "LATE": str(limits.late),
        "LOG": str(limits.log),
        "BUCKETS": str(limits.buckets),
        "SWEEP": str(limits.sweep),
        "ADD_SQUARE": add(squares, "at", "a").replace(squares.column, "squares"),
        "ADD_NIGHT": night,
        "ITEM_TEXTS": "".join(f" .. sub(log, p + {offsets[f]}, p + {offsets[f] + REF_BYTES - 1})" for f in counted),
        "OWN_TEXTS": "".join(f" .. sub(version, {offsets[f] + 1}, {offsets[f] + REF_BYTES})" for f in counted),
        "TRIM_COUNTED": "\n".join(
            f"call('ZREMRANGEBYSCORE', {key}, '-inf', string.format('(%.0f', horizon))" for key in keys
        ),
        "REFRESH_COUNTED": "\n".join(f"call('PEXPIRE', {key}, {layout.KEY_TTL_MS})" for key in keys),
    }


def _locate(field: str, number: int) -> str:
    return f"""if ARGV[{3 + number}] ~= '' then
  {field} = noted[{2 + number}] and unpack('<I3', noted[{2 + number}]) or -1
end"""


def _reading(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    windows = sorted({aggregate.window_ms for aggregate in aggregates})
    sequence, distinct, met = [], [], []
    for window in windows:
        inside = [_of_sequence(a) for a in aggregates if a.window_ms == window and a.op in _OF_SEQUENCE]
        if inside:
            running = "from_sum_hi, from_sum, from_squares_top, from_squares_hi, from_squares, from_night, from_rank"
            start = f"local from_b, from_i = locate(edge_{window})\nlocal {running} = running(from_b, from_i)"
            sequence.append("\n".join([f"if ends > edge_{window} then", start, *inside, "end"]))
    counted = counted_texts(aggregates)
    for aggregate in aggregates:
        values = {"NAME": aggregate.column, "EDGE": f"edge_{aggregate.window_ms}", "TEXT": str(aggregate.field)}
        if aggregate.op is Op.DISTINCT:
            field = str(aggregate.field)
            values |= {
                "KIND": TEXT_KINDS[field],
                "LOG_OFFSET": str(HEAD_BYTES + REF_BYTES * STORED_TEXTS.index(field)),
                "ROW_OFFSET": str(HEAD_BYTES - 6 + REF_BYTES * counted.index(field)),
                "ROW": _common(aggregates, Limits())["ROW"],
            }
            distinct.append(_render("read_distinct.lua", values))
        elif aggregate.op is Op.MET:
            field = str(aggregate.field)
            number = 2 + STORED_TEXTS.index(field)
            values["ENTRY"] = f"{field} > 0 and (by_code and by_code[{field}][2] or not by_code and noted[{number}])"
            met.append(_render("read_met.lua", values))
    places = [a.column for a in aggregates if a.op is Op.LATEST_PLACE]
    finish = [
        f"if place_at >= {name} then\n"
        f"  {name}, {name}_latitude, {name}_longitude = place_at, place_latitude, place_longitude\nend"
        for name in places
    ]
    return {
        "READ_SEQUENCE": "\n".join(sequence),
        "READ_DISTINCT": "\n".join([*finish, *distinct]),
        "READ_MET": "\n".join(met),
    }


_OF_SEQUENCE = {
    Op.COUNT: "@NAME@ = @NAME@ + rank - from_rank",
    Op.SUM: "@NAME@_hi, @NAME@ = @NAME@_hi + sum_hi - from_sum_hi, @NAME@ + sum - from_sum",
    Op.SQUARES: """@NAME@_top = @NAME@_top + squares_top - from_squares_top
@NAME@_hi = @NAME@_hi + squares_hi - from_squares_hi
@NAME@ = @NAME@ + squares - from_squares""",
    Op.NIGHT: "@NAME@ = @NAME@ + night - from_night",
    Op.LARGEST: """local top = largest_between(from_b, from_i, b, i, @NAME@)
if own_b > 0 and top == amount then
  local last_b, last_i = previous(own_b, own_i)
  top = largest_between(own_b, own_i, b, i, largest_between(from_b, from_i, last_b, last_i, @NAME@))
end
@NAME@ = top""",
    Op.LATEST: """if others_b > 0 then
  local last = time(others_b, others_i)
  if last > @NAME@ and last > @EDGE@ then @NAME@ = last end
end""",
    Op.LATEST_PLACE: """local at, latitude, longitude = located_at(b, i, own_b, own_i)
if at > place_at and at > @EDGE@ then
  place_at, place_latitude, place_longitude = at, latitude, longitude
end""",
}
"""What a sequence adds in the window from (from_b, from_i) to (b, i)."""


def _of_sequence(aggregate: Aggregate) -> str:
    values = {"NAME": aggregate.column, "EDGE": f"edge_{aggregate.window_ms}"}
    return templates.fill(_OF_SEQUENCE[aggregate.op], values)


def _noted(field: str, text: str, dated: Sequence[str]) -> str:
    time = "at" if text.startswith("text_at") else "t"
    return f"note('{TEXT_KINDS[field]}', {text}, {time}, {str(field in dated).lower()})"


def _counting(aggregates: Sequence[Aggregate], code: str, time: str) -> str:
    return "\n".join(
        f"""do
  local code = unpack('<I3', {code}, {HEAD_BYTES + REF_BYTES * STORED_TEXTS.index(field) + 1})
  if code > 0 then call('ZADD', prefix .. ':z{TEXT_KINDS[field]}', 'GT', string.format('%.0f', {time}), code) end
end"""
        for field in counted_texts(aggregates)
    )


def _recording(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    dated = dated_texts(aggregates)
    fields = [
        f"fields['{TEXT_KINDS[field]}' .. ARGV[{3 + k}]] = noted[{2 + k}] or nil"
        for k, field in enumerate(STORED_TEXTS)
    ]
    return {
        "FIELDS": "\n".join(fields),
        "NOTE_OWN": ", ".join(_noted(field, f"ARGV[{3 + k}]", dated) for k, field in enumerate(STORED_TEXTS)),
        "COUNT_OWN": _counting(aggregates, "full", "t"),
    }


def _promoting(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    dated = dated_texts(aggregates)
    return {
        "LIST_REFS": ", ".join(f"{field}_ref" for field in STORED_TEXTS),
        "NOTE_REFS": ", ".join(_noted(field, f"text_at({field}_ref)", dated) for field in STORED_TEXTS),
        "COUNT_PROMOTED": _counting(aggregates, "full", "at"),
    }
