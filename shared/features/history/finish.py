"""Features in SQL: each kind as an expression over its aggregates and its transaction.

The formulas are those of `shared.features.values`, rounded at the same places.
"""

from __future__ import annotations

from shared.features.catalogue import Catalogue, Settings
from shared.features.definition import DAY_MS, HOUR_MS, ZSCORE_LEAST_OTHERS, Entity, Feature, Kind
from shared.features.history.merchants import read_of_merchant
from shared.features.plan import Op, aggregates_of, merchant_windows, plan
from shared.features.templates import fill, render

_EXPRESSIONS = {
    Kind.AMOUNT: "x.a",
    Kind.HOUR_OF_DAY: f"x.t // {HOUR_MS} % 24",
    Kind.WEEKEND: f"((x.t // {DAY_MS} + 3) % 7 >= 5)::BIGINT",
    Kind.HIGH_RISK: "(x.@FIELD@ IN (@RISKY@))::BIGINT",
    Kind.COUNT: "@COUNT@::BIGINT",
    Kind.SUM: "@SUM@::BIGINT",
    Kind.MEAN: "@SUM@::BIGINT::DOUBLE / @COUNT@::DOUBLE",
    Kind.DISTINCT: "nullif(@DISTINCT@, 0)::BIGINT",
    Kind.ZSCORE: f"""zscore(
    x.a, @COUNT@ - 1, @SUM@ - x.a, @SQUARES@ - x.a::HUGEINT * x.a, {ZSCORE_LEAST_OTHERS})""",
    Kind.SPEND_SHARE: "@SUM@::BIGINT::DOUBLE / nullif(@WHOLE@::BIGINT, 0)::DOUBLE",
    Kind.NIGHT_SHARE: "@NIGHT@::DOUBLE / @COUNT@::DOUBLE",
    Kind.RATIO_TO_MEAN: "((@COUNT@ - 1) * x.a)::DOUBLE / nullif((@SUM@ - x.a)::BIGINT, 0)::DOUBLE",
    Kind.RATIO_TO_MAX: "x.a::DOUBLE / nullif(@LARGEST@, 0)::DOUBLE",
    Kind.SINCE_LAST: "(x.t - @LATEST@)::DOUBLE / 1000::DOUBLE",
    Kind.IS_NEW: "CASE WHEN x.@FIELD@_code IS NOT NULL THEN (NOT @MET@)::BIGINT END",
    Kind.SPEED: """speed_kmh(x.latitude, x.longitude, @PLACE@_at.latitude, @PLACE@_at.longitude,
    x.t - place_time(@LATEST_PLACE@))""",
    Kind.MERCHANT_COUNT: "CASE WHEN x.merchant_id_code IS NOT NULL THEN @MERCHANT_COUNT@::BIGINT END",
    Kind.MERCHANT_RISK: "@MERCHANT_FRAUDS@::BIGINT::DOUBLE / nullif(@MERCHANT_COUNT@, 0)::BIGINT::DOUBLE",
}
"""Over the transaction (x) and its aggregates, named by what they are."""


_MERCHANTS = f"""
LEFT JOIN merchant_windows w ON w.merchant = x.merchant_id_code AND w.day = x.t // {DAY_MS}
LEFT JOIN corrections c ON c.row = x.row"""


def features(catalogue: Catalogue) -> str:
    """The answer of each row, in input order: ids, status, features."""
    places = [aggregate.column for aggregate in plan(catalogue) if aggregate.op is Op.LATEST_PLACE]
    values = [f'{_value(feature, catalogue.settings)} AS "{feature.name}"' for feature in catalogue]
    pieces = {
        "VALUES": "".join(f",\n  {value}" for value in values),
        "PLACES": "".join(
            f"\nLEFT JOIN arrivals {name}_at ON {name}_at.card = x.card AND {name}_at.seq = place_seq(x.{name})"
            for name in places
        ),
        "MERCHANTS": _MERCHANTS if merchant_windows(catalogue) else "",
    }
    return render(__package__, "features.sql", pieces)


def _value(feature: Feature, settings: Settings) -> str:
    """One feature as an expression.

    Raises:
        NotImplementedError: There is none for its kind.
    """
    if feature.kind not in _EXPRESSIONS:
        raise NotImplementedError(f"no SQL for {feature.name}, a {feature.kind}")
    pieces = {"FIELD": str(feature.of), "RISKY": ", ".join(_quoted(name) for name in settings.high_risk_categories)}
    for aggregate in aggregates_of(feature):
        whole = aggregate.op is Op.SUM and aggregate.window_ms == feature.whole_ms
        of_merchant = feature.entity is Entity.MERCHANT
        column = read_of_merchant(aggregate) if of_merchant else f"x.{aggregate.column}"
        pieces["WHOLE" if whole else aggregate.op.name] = column
        pieces["PLACE"] = aggregate.column
    return fill(_EXPRESSIONS[feature.kind], pieces)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
