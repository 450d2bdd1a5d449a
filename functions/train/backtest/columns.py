"""Guessing which column of a file is which field of a transaction; a guess is shown and confirmed, never silent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.tabular.options import FIELDS

LABEL = "label"
LABEL_TIME = "label time"

_NAMES: Mapping[str, tuple[str, ...]] = {
    "transaction_id": ("transactionid", "txid", "txnid", "transid", "transnum", "transactionnumber", "trxid", "id"),
    "card_id": ("cardid", "customerid", "cardnumber", "ccnum", "accountid", "card", "nameorig", "userid", "clientid"),
    "amount": ("amount", "txamount", "transactionamount", "transactionamt", "amt", "txnamount", "value"),
    "currency": ("currency", "currencycode", "txcurrency"),
    "merchant_id": ("merchantid", "terminalid", "merchant", "merchantname", "namedest", "shopid", "storeid"),
    "merchant_category": ("merchantcategory", "category", "mcc", "merchantcategorycode", "merchanttype"),
    "city": ("city", "merchantcity", "transactioncity"),
    "country": ("country", "countrycode", "merchantcountry"),
    "latitude": ("latitude", "merchlat", "merchantlatitude", "lat"),
    "longitude": ("longitude", "merchlong", "merchantlongitude", "long", "lon", "lng"),
    "channel": ("channel", "entrymode"),
    "timestamp": (
        "timestamp",
        "txdatetime",
        "transactiondatetime",
        "transdatetranstime",
        "transactiontime",
        "datetime",
        "eventtime",
        "time",
        "date",
    ),
    LABEL: ("isfraud", "txfraud", "fraud", "label", "class", "fraudulent", "target", "fraudlabel", "isfraudulent"),
    LABEL_TIME: ("labeltime", "chargebacktime", "frauddate", "reportedat", "labeltimestamp"),
}
"""For each field the names it has in public data sets and exports, letters and digits alone, likelier ones first."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Which columns are taken for what.

    Attributes:
        fields: Column of the file -> field of a transaction.
        label: Column that tells fraud, if one was found.
        label_time: Column that tells when that became known, if one was found.
        guessed: What of it was guessed: column -> field, "label" or "label time".
    """

    fields: Mapping[str, str]
    label: str | None
    label_time: str | None
    guessed: Mapping[str, str] = field(default_factory=dict)


def guess_columns(
    available: Sequence[str],
    *,
    mapping: Mapping[str, str],
    constants: Sequence[str],
    label: str | None,
    label_time: str | None,
) -> Guess:
    """Guess what was not said.

    Args:
        available: Columns of the file.
        mapping: Column -> field, as said.
        constants: Fields that have a value for all rows.
        label: Column that tells fraud, as said.
        label_time: Column that tells when that became known, as said.
    """
    taken = {*mapping, label, label_time}
    filled = {*mapping.values(), *constants, *(name for name in available if name in FIELDS and name not in mapping)}
    wanted = [name for name in FIELDS if name not in filled]
    wanted += [name for name, said in ((LABEL, label), (LABEL_TIME, label_time)) if said is None]
    free = {_bare(name): name for name in reversed(available) if name not in taken and name not in FIELDS}
    guessed: dict[str, str] = {}
    for target in wanted:
        column = next((free[name] for name in _NAMES[target] if name in free and free[name] not in guessed), None)
        if column is not None:
            guessed[column] = target
    found = {target: column for column, target in guessed.items()}
    fields = {column: target for column, target in guessed.items() if target in FIELDS}
    return Guess(
        fields={**mapping, **fields},
        label=label or found.get(LABEL),
        label_time=label_time or found.get(LABEL_TIME),
        guessed=guessed,
    )


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
