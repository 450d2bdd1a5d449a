"""Transactions in the words of the contract: identifiers, names and places instead of indices."""

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.simulation.categories import CATEGORIES, CHANNELS
from shared.simulation.cities import CITIES, LATITUDE, LONGITUDE
from shared.simulation.config import PATTERNS
from shared.simulation.identity import Identity
from shared.simulation.merchants import category_of
from shared.simulation.noise import Ints
from shared.simulation.rows import Rows
from shared.simulation.traffic import Traffic

Columns = dict[str, npt.NDArray[Any]]


def _texts(*values: str | None) -> npt.NDArray[np.object_]:
    return np.array(values, dtype=object)


_CATEGORY = _texts(*(category.name for category in CATEGORIES))
_CHANNEL = _texts(*CHANNELS)
_CITY = _texts(*(city.name for city in CITIES), None)  # index -1 is the last entry: unknown
_COUNTRY = _texts(*(city.country for city in CITIES))
_PATTERN = _texts(*(pattern.value for pattern in PATTERNS), None)
_LATITUDE = np.append(LATITUDE, np.nan)
_LONGITUDE = np.append(LONGITUDE, np.nan)


class Writer:
    """Writes the rows of one traffic as columns."""

    def __init__(self, traffic: Traffic) -> None:
        self._currency = traffic.config.currency
        self._merchants = traffic.merchants
        self._identity = Identity(traffic.config)

    def columns(self, numbers: Ints, rows: Rows) -> Columns:
        """Return the columns of `rows`.

        Args:
            numbers: Number of each transaction since the start of the traffic.
            rows: The transactions.

        Returns:
            `transaction_id`, `card_id`, `amount_minor`, `currency`, `merchant_id`, `merchant_category`, `city` (None
            when unknown), `country`, `latitude`, `longitude` (degrees, NaN when unknown), `channel`, `event_time_ms`,
            `is_fraud`, `pattern` (None for genuine ones).
        """
        place = self._merchants.location(rows.merchant)
        return {
            "transaction_id": np.array(
                [self._identity.transaction(number) for number in numbers.tolist()], dtype=object
            ),
            "card_id": self._identity.cards(rows.card),
            "amount_minor": rows.amount,
            "currency": np.full(len(rows), self._currency, dtype=object),
            "merchant_id": self._identity.merchants(rows.merchant),
            "merchant_category": _CATEGORY[category_of(rows.merchant)],
            "city": _CITY[place],
            "country": _COUNTRY[self._merchants.head_office(rows.merchant)],
            "latitude": _LATITUDE[place],
            "longitude": _LONGITUDE[place],
            "channel": _CHANNEL[rows.channel],
            "event_time_ms": rows.time_ms,
            "is_fraud": rows.pattern >= 0,
            "pattern": _PATTERN[rows.pattern],
        }
