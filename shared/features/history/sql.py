"""The queries of the history engine, rendered from the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.features.catalogue import Catalogue
from shared.features.definition import DAY_MS, HOUR_MS, RETENTION_MS, ZSCORE_LEAST_OTHERS, Feature, Kind
from shared.features.plan import STORED_TEXTS, Aggregate, Op, aggregates_of
from shared.features.templates import render

_PLACE = ("latitude", "longitude")
_DEGREE = 10_000_000
_LARGEST_BIGINT_SQUARE_OF = 3_037_000_499


def setup() -> str:
    """Macros the other queries use."""
    return render(__package__, "setup.sql", {})


def arrivals(columns: Collection[str]) -> str:
    """Tables `arrivals` and `repeated` of the view `input`. Columns it lacks are unknown in every row."""
    texts = [f"nullif({text}, '')" if text in columns else "NULL::VARCHAR" for text in STORED_TEXTS]
    if all(part in columns for part in _PLACE):
        located = "latitude IS NOT NULL AND longitude IS NOT NULL"
        place = [f"CASE WHEN {located} THEN floor({part} * {_DEGREE} + 0.5)::INTEGER END" for part in _PLACE]
    else:
        place = ["NULL::INTEGER" for _ in _PLACE]
    pieces = {
        "ORDER": "arrival" if "arrival" in columns else "t",
        "TEXTS": ", ".join(f"{value} AS {name}" for value, name in zip(texts, STORED_TEXTS, strict=True)),
        "PLACE": ", ".join(f"{value} AS {name}" for value, name in zip(place, _PLACE, strict=True)),
    }
    return render(__package__, "arrivals.sql", pieces)


def versions() -> str:
    """Tables `versions` and `forgetful`, from `arrivals` and `repeated`."""
    return render(__package__, "versions.sql", {"DAY": str(DAY_MS), "RETENTION": str(RETENTION_MS)})


def answers(aggregates: Sequence[Aggregate], largest_amount: int) -> str:
    """Table `answers`: every aggregate of every row."""
    square = "r.a * r.a" if largest_amount <= _LARGEST_BIGINT_SQUARE_OF else "r.a::HUGEINT * r.a"
    longest = max((aggregate.window_ms for aggregate in aggregates), default=1)
    windows = sorted({longest, *(aggregate.window_ms for aggregate in aggregates)})
    frame = "(PARTITION BY card_id ORDER BY t RANGE BETWEEN {} PRECEDING AND CURRENT ROW)"
    joined = [f"{_over(a, square)} FILTER (r.t > s.t - {a.window_ms}) AS {a.column}" for a in aggregates]
    pieces = {
        "LONGEST": str(longest),
        "FRAMES": ", ".join(f"w{window} AS {frame.format(window - 1)}" for window in windows),
        "WINDOWED": "".join(f"{_over(a, square)} OVER w{a.window_ms} AS {a.column}, " for a in aggregates),
        "COLUMNS": "".join(f", {a.column}" for a in aggregates),
        "JOINED": "".join(f", {expression}" for expression in joined),
        "ALONE": "".join(f", {_alone(a, square)}" for a in aggregates),
    }
    return render(__package__, "answers.sql", pieces)


def features(catalogue: Catalogue) -> str:
    """The answer of each row, in input order: ids, status, features."""
    risky = ", ".join("'{}'".format(name.replace("'", "''")) for name in catalogue.settings.high_risk_categories)
    same = [f"o.{column} IS NOT DISTINCT FROM x.{column}" for column in ("t", "a", *STORED_TEXTS, *_PLACE)]
    pieces = {
        "SAME": " AND ".join(same),
        "VALUES": "".join(f',\n  {_value(feature, risky)} AS "{feature.name}"' for feature in catalogue),
    }
    return render(__package__, "features.sql", pieces)


def _over(aggregate: Aggregate, square: str) -> str:
    """The aggregate as an SQL aggregate function over the columns of `records`."""
    match aggregate.op:
        case Op.COUNT:
            return "count(*)"
        case Op.SUM:
            return "sum(r.a)"
        case Op.SQUARES:
            return f"sum({square})"
        case Op.DISTINCT:
            return f"count(DISTINCT r.{aggregate.field})"


def _alone(aggregate: Aggregate, square: str) -> str:
    """The aggregate over one transaction."""
    match aggregate.op:
        case Op.COUNT:
            return "1"
        case Op.SUM:
            return "r.a"
        case Op.SQUARES:
            return square
        case Op.DISTINCT:
            return f"CASE WHEN r.{aggregate.field} IS NULL THEN 0 ELSE 1 END"


def _value(feature: Feature, risky: str) -> str:
    """A feature as an expression over its aggregates (g) and its transaction (x)."""
    if feature.request_only:
        return _request_value(feature, risky)
    columns = [f"g.{aggregate.column}" for aggregate in aggregates_of(feature)]
    match feature.kind:
        case Kind.COUNT | Kind.SUM:
            return f"{columns[0]}::BIGINT"
        case Kind.MEAN:
            return f"{columns[1]}::BIGINT::DOUBLE / {columns[0]}::DOUBLE"
        case Kind.DISTINCT:
            return f"nullif({columns[0]}, 0)::BIGINT"
        case Kind.ZSCORE:
            return _zscore(*columns)
        case _:
            raise NotImplementedError(f"no SQL for {feature.name}, a {feature.kind}")


def _request_value(feature: Feature, risky: str) -> str:
    match feature.kind:
        case Kind.AMOUNT:
            return "x.a"
        case Kind.HOUR_OF_DAY:
            return f"x.t // {HOUR_MS} % 24"
        case Kind.WEEKEND:
            return f"((x.t // {DAY_MS} + 3) % 7 >= 5)::BIGINT"
        case Kind.HIGH_RISK:
            return f"(x.{feature.of} IN ({risky}))::BIGINT"
        case _:
            raise NotImplementedError(f"no SQL for {feature.name}, a {feature.kind}")


def _zscore(count: str, total: str, squares: str) -> str:
    """As `shared.features.values.zscore`."""
    others, total, squares = f"({count} - 1)::HUGEINT", f"({total} - x.a)", f"({squares} - x.a::HUGEINT * x.a)"
    spread = f"({others} * {squares} - {total} * {total})"
    deviations = f"({others} * x.a - {total})::BIGINT::DOUBLE / sqrt(nearest_double({spread}))"
    return f"CASE WHEN {others} < {ZSCORE_LEAST_OTHERS} OR {spread} = 0 THEN 0.0::DOUBLE ELSE {deviations} END"
