"""The queries of the merchant features, rendered from the catalogue."""

from __future__ import annotations

from collections.abc import Collection

from shared.features.catalogue import Catalogue
from shared.features.definition import DAY_MS
from shared.features.plan import Aggregate, Op, merchant_windows
from shared.features.templates import render

LABEL_COLUMNS = ("transaction_id", "card_id", "merchant_id", "event_time_ms", "is_fraud", "label_time_ms")
NO_LABELS = """CREATE VIEW labels AS SELECT NULL::VARCHAR AS transaction_id, NULL::VARCHAR AS card_id,
  NULL::VARCHAR AS merchant_id, NULL::BIGINT AS event_time_ms, NULL::BOOLEAN AS is_fraud,
  NULL::BIGINT AS label_time_ms WHERE false"""


def merchants(columns: Collection[str], label_columns: Collection[str], catalogue: Catalogue) -> str:
    """Tables `merchant_windows` and `corrections`, from `answers`, `raw` and the view `labels`.

    Args:
        columns: Those of the transactions.
        label_columns: Those of the labels.
        catalogue: The features, some of which look at a merchant.
    """
    windows = merchant_windows(catalogue)
    delay = catalogue.settings.label_delay_days
    arrivals = "arrival" in columns and "arrival" in label_columns
    pieces = {
        "KEY": "arrival" if "arrival" in columns else "t",
        "KNOWN": "l.arrival" if arrivals else "0",
        "DAY": str(DAY_MS),
        "DELAY": str(delay),
        "MEMORY": str(catalogue.settings.merchant_memory_days),
        "LONGEST": str(max(windows)),
        "NO_DELTAS": "".join(f", 0 AS frauds_{days}" for days in windows),
        "SUM_DELTAS": "".join(f", sum(frauds_{days}) AS frauds_{days}" for days in windows),
        "DELTAS": "".join(render(__package__, "merchant_deltas.sql", _delta(windows, days, delay)) for days in windows),
        "OVER_DAYS": "".join(
            f",\n  sum(n) OVER over_{days} AS {_name(Op.MERCHANT_COUNT, days)}, "
            f"sum(frauds_{days}) OVER so_far AS {_name(Op.MERCHANT_FRAUDS, days)}"
            for days in windows
        ),
        "FRAMES": "".join(
            f",\n  over_{days} AS (PARTITION BY merchant ORDER BY day "
            f"RANGE BETWEEN {delay + days} PRECEDING AND {delay + 1} PRECEDING)"
            for days in windows
        ),
        "CORRECTED": "".join(
            f", sum(n) FILTER (of >= day - {delay + days}) AS {_name(Op.MERCHANT_COUNT, days)}"
            f", sum(fraud) FILTER (of >= day - {delay + days}) AS {_name(Op.MERCHANT_FRAUDS, days)}"
            for days in windows
        ),
        "SEEN_BEFORE_KNOWN": (
            "ASOF LEFT JOIN seen_later s ON s.merchant = c.merchant AND c.known >= s.key" if arrivals else ""
        ),
        "LATEST_BEFORE_KNOWN": "coalesce(s.latest, 0)" if arrivals else "0",
        "OR_UNKNOWN": " OR r.key <= c.known" if arrivals else "",
        "AND_KNOWN": " AND c.known < r.key" if arrivals else "",
    }
    return render(__package__, "merchants.sql", pieces)


def read_of_merchant(aggregate: Aggregate) -> str:
    """The number of an aggregate for a row of `answers` that is joined with both tables; 0 without a merchant."""
    return f"(coalesce(w.{aggregate.column}, 0) + coalesce(c.{aggregate.column}, 0))"


def _delta(windows: Collection[int], of: int, delay: int) -> dict[str, str]:
    """Add a change to one window's frauds and to no other's, and take it out again where the window ends."""
    return {
        "ENDS": str(delay + of),
        "PLUS": "".join(", change" if days == of else ", 0" for days in windows),
        "MINUS": "".join(", -change" if days == of else ", 0" for days in windows),
    }


def _name(op: Op, days: int) -> str:
    return Aggregate(op, days * DAY_MS).column
