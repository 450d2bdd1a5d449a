"""The queries of the history engine, rendered from the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.features.catalogue import Catalogue
from shared.features.definition import DAY_MS, NIGHT_ENDS_MS, RETENTION_MS
from shared.features.plan import STORED_TEXTS, Aggregate, Op, merchant_windows, plan
from shared.features.templates import render
from shared.features.values import EARTH_RADIUS_KM, RADIANS_PER_UNIT

PLACE = ("latitude", "longitude")
_DEGREE = 10_000_000
_LARGEST_BIGINT_SQUARE_OF = 3_037_000_499


def setup() -> str:
    """Macros the other queries use."""
    pieces = {
        "DAY": str(DAY_MS),
        "NIGHT_ENDS": str(NIGHT_ENDS_MS),
        "EARTH_RADIUS_KM": repr(EARTH_RADIUS_KM),
        "RADIANS": repr(RADIANS_PER_UNIT),
    }
    return render(__package__, "setup.sql", pieces)


def arrivals(columns: Collection[str], catalogue: Catalogue) -> str:
    """Tables `raw`, `arrivals` and `repeated` of the view `input`. Columns it lacks are unknown in every row."""
    texts = [f"nullif({text}, '')" if text in columns else "NULL::VARCHAR" for text in STORED_TEXTS]
    if all(part in columns for part in PLACE):
        located = "latitude IS NOT NULL AND longitude IS NOT NULL"
        place = [f"CASE WHEN {located} THEN floor({part} * {_DEGREE} + 0.5)::BIGINT END" for part in PLACE]
    else:
        place = ["NULL::BIGINT" for _ in PLACE]
    compared = compared_texts(catalogue)
    ordered = "arrival" in columns
    flags = request_texts(catalogue)
    pieces = {
        "TEXTS": ", ".join(f"{value} AS {name}" for value, name in zip(texts, STORED_TEXTS, strict=True)),
        "PLACE": ", ".join(f"{value} AS {name}" for value, name in zip(place, PLACE, strict=True)),
        "ARRIVAL": ", arrival" if ordered else "",
        "ORDER": "arrival" if ordered else "t",
        "CODES": "".join(render(__package__, "codes.sql", {"TEXT": text}) for text in compared),
        "COLUMNS": "".join(f", {text}_code" for text in compared) + "".join(f", raw.{text}" for text in flags),
        "JOINS": "".join(f" LEFT JOIN codes_{text} USING ({text})" for text in compared),
    }
    return render(__package__, "arrivals.sql", pieces)


def compared_texts(catalogue: Catalogue) -> list[str]:
    """Text fields that features compare between transactions."""
    fields = {aggregate.field for aggregate in plan(catalogue)}
    if merchant_windows(catalogue):
        fields.add("merchant_id")
    return [text for text in STORED_TEXTS if text in fields]


def request_texts(catalogue: Catalogue) -> list[str]:
    """Text fields that features of the transaction alone look at."""
    return [text for text in STORED_TEXTS if any(f.of == text and f.request_only for f in catalogue)]


def versions() -> str:
    """View `versions` and table `forgetful`, from `arrivals` and `repeated`."""
    return render(__package__, "versions.sql", {"DAY": str(DAY_MS), "RETENTION": str(RETENTION_MS)})


def windowed(catalogue: Catalogue, largest_amount: int, part: int, parts: int) -> str:
    """Table `windowed`: the windows of each row whose card falls into a part, added to the parts before.

    Args:
        catalogue: The features.
        largest_amount: Of the whole history, in minor units.
        part: Number of the part, from 0.
        parts: How many parts the cards are divided into.
    """
    aggregates = plan(catalogue)
    longest = _longest(aggregates)
    frames = []
    for window in sorted({longest, *(aggregate.window_ms for aggregate in aggregates)}):
        frame = f"PARTITION BY card ORDER BY t RANGE BETWEEN {window - 1} PRECEDING AND CURRENT ROW"
        frames += [f"with_own_{window} AS ({frame})", f"others_{window} AS ({frame} EXCLUDE CURRENT ROW)"]
    met = [text for text in STORED_TEXTS if any(a.op is Op.MET and a.field == text for a in aggregates)]
    pieces = {
        "LONGEST": str(longest),
        "FRAMES": ", ".join(frames),
        "SUBJECT": "".join(f", {column}" for column in _subject(catalogue)),
        # Other orders than that of the windows, so within: what is sorted for them is then narrow.
        "PREVIOUS": "".join(
            f", lag(t) OVER (PARTITION BY card, {text}_code ORDER BY t, seq) AS {text}_previous" for text in met
        ),
        "WINDOWED": "".join(f"{_windowed(a)} AS {a.column}, " for a in aggregates),
        "PART": str(part),
        "PARTS": str(parts),
    }
    query = _with_squares(render(__package__, "windowed.sql", pieces), largest_amount)
    return f"INSERT INTO windowed {query}" if part else f"CREATE OR REPLACE TEMP TABLE windowed AS {query}"


def answers(catalogue: Catalogue, largest_amount: int) -> str:
    """View `answers`: every aggregate of every row, from `windowed`."""
    aggregates = plan(catalogue)
    subject = _subject(catalogue)
    same = [f"o.{column} IS NOT DISTINCT FROM x.{column}" for column in ("t", "a", *STORED_TEXTS, *PLACE)]
    pieces = {
        "LONGEST": str(_longest(aggregates)),
        "SUBJECT": "".join(f", {column}" for column in subject),
        "SPECIAL_SUBJECT": "".join(f", f.{column}" for column in subject),
        "AGGREGATES": "".join(f", {a.column}" for a in aggregates),
        "JOINED": "".join(f", {_joined(a)} AS {a.column}" for a in aggregates),
        "ALONE": "".join(f", {_ALONE[a.op].format(field=a.field)}" for a in aggregates),
        "SAME": " AND ".join(same),
    }
    return _with_squares(render(__package__, "answers.sql", pieces), largest_amount)


def _longest(aggregates: Sequence[Aggregate]) -> int:
    return max((aggregate.window_ms for aggregate in aggregates), default=1)


def _subject(catalogue: Catalogue) -> list[str]:
    """Columns of the transaction itself that its features look at."""
    return [f"{text}_code" for text in compared_texts(catalogue)] + request_texts(catalogue)


def _with_squares(query: str, largest_amount: int) -> str:
    square = "r.a * r.a" if largest_amount <= _LARGEST_BIGINT_SQUARE_OF else "r.a::HUGEINT * r.a"
    return query.replace("square_of_amount", square)


_FUNCTIONS = {
    Op.COUNT: "count(*)",
    Op.NIGHT: "count(*)",
    Op.SUM: "sum(r.a)",
    Op.SQUARES: "sum(square_of_amount)",
    Op.DISTINCT: "count(DISTINCT r.{field}_code)",
    Op.LARGEST: "max(r.a)",
    Op.LATEST: "max(r.t)",
    Op.LATEST_PLACE: "max(place_key(r.t, r.seq))",
}
"""Each aggregate as an SQL aggregate function over records (r)."""
_FILTERS = {Op.NIGHT: "at_night(r.t)", Op.LATEST_PLACE: "r.latitude IS NOT NULL"}
_OF_OTHERS = (Op.LARGEST, Op.LATEST, Op.LATEST_PLACE, Op.MET)
_ALONE = {
    Op.COUNT: "1",
    Op.NIGHT: "at_night(r.t)::BIGINT",
    Op.SUM: "r.a",
    Op.SQUARES: "square_of_amount",
    Op.DISTINCT: "(r.{field}_code IS NOT NULL)::BIGINT",
    Op.LARGEST: "NULL",
    Op.LATEST: "NULL",
    Op.LATEST_PLACE: "NULL",
    Op.MET: "false",
}
"""Each aggregate over one transaction."""


def _windowed(aggregate: Aggregate) -> str:
    """The aggregate as a window function, for rows whose windows nothing overtook."""
    if aggregate.op is Op.MET:
        # The previous record with the same text, which is the latest of all others with it.
        return f"coalesce({aggregate.field}_previous > t - {aggregate.window_ms}, false)"
    filtered = f" FILTER ({_FILTERS[aggregate.op]})" if aggregate.op in _FILTERS else ""
    frame = "others" if aggregate.op in _OF_OTHERS else "with_own"
    function = _FUNCTIONS[aggregate.op].format(field=aggregate.field)
    return f"{function}{filtered} OVER {frame}_{aggregate.window_ms}"


def _joined(aggregate: Aggregate) -> str:
    """The aggregate over what a row's card knew: records (r) joined to the row (s)."""
    filters = [f"r.t > s.t - {aggregate.window_ms}"]
    if aggregate.op in _FILTERS:
        filters.append(_FILTERS[aggregate.op])
    if aggregate.op in _OF_OTHERS:
        filters.append("r.row <> s.first")
    if aggregate.op is Op.MET:
        return f"count(*) FILTER ({' AND '.join(filters)} AND r.{aggregate.field}_code = s.{aggregate.field}_code) > 0"
    return f"{_FUNCTIONS[aggregate.op].format(field=aggregate.field)} FILTER ({' AND '.join(filters)})"
