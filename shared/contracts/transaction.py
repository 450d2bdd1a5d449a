"""The card transaction: the request of the scorer and the event on ``fraud.transactions``."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from shared.contracts import money
from shared.contracts.card_numbers import is_card_number
from shared.contracts.computed import computed_once
from shared.contracts.event_time import to_milliseconds, to_rfc3339
from shared.contracts.fields import Country, Text, Timestamp

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
Channel = Literal["pos", "contactless", "ecommerce", "atm", "moto"]


def _known_currency(value: str) -> str:
    if money.exponent(value) is None:
        raise PydanticCustomError("currency", "must be an ISO 4217 code in capitals, such as EUR")
    return value


def _require_number(value: Any) -> Any:
    # pydantic alone would also take booleans, exponents, underscores, spaces and the digits of other scripts.
    if isinstance(value, bool) or (isinstance(value, str) and _DECIMAL.fullmatch(value) is None):
        raise PydanticCustomError("amount", "must be a decimal number such as 12.34")
    return value


def _exact_amount(value: Decimal, info: ValidationInfo) -> Decimal:
    currency = info.data.get("currency")
    if currency is not None:
        try:
            money.to_minor_units(value, currency)
        except ValueError as error:
            raise PydanticCustomError("amount", "{reason}", {"reason": str(error)}) from None
    return value


def _token(value: str) -> str:
    if is_card_number(value):
        raise PydanticCustomError("card_number", "holds a raw card number; send a token instead")
    return value


class Transaction(BaseModel):
    """One card transaction as the acquirer or issuer saw it.

    Times and money are exact: `event_time_ms` is UTC milliseconds, `amount_minor` integer minor units of `currency`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ignored_types=(computed_once,),
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "transaction_id": "tx-2f6c1e",
                    "card_id": "card-7d1a9c",
                    "amount": "49.90",
                    "currency": "EUR",
                    "merchant_id": "m-1881",
                    "merchant_category": "electronics",
                    "city": "Lisbon",
                    "country": "PT",
                    "latitude": 38.7223,
                    "longitude": -9.1393,
                    "channel": "ecommerce",
                    "timestamp": "2026-01-15T12:30:45.250Z",
                }
            ]
        },
    )

    transaction_id: Text = Field(description="Unique per card; a repeated id is the same transaction.")
    card_id: Annotated[Text, AfterValidator(_token)] = Field(description="Token of the card, never its number.")
    currency: Annotated[str, AfterValidator(_known_currency)] = Field(
        description="ISO 4217 code of the card's billing currency."
    )
    amount: Annotated[Decimal, BeforeValidator(_require_number), AfterValidator(_exact_amount)] = Field(
        ge=0, max_digits=16, description="Amount in major units of the currency, as a decimal."
    )
    merchant_id: Text = Field(description="Merchant or terminal.")
    merchant_category: Text | None = Field(default=None, description="Category of the merchant.")
    city: Text | None = Field(default=None, description="City of the transaction.")
    country: Country | None = Field(default=None, description="ISO 3166-1 alpha-2 country.")
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = Field(
        default=None, description="Degrees north."
    )
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = Field(
        default=None, description="Degrees east."
    )
    channel: Channel | None = Field(default=None, description="How the card was used.")
    timestamp: Timestamp = Field(description="Event time, RFC 3339 with a zone.")

    # Computed once and kept in the instance: the request path reads them several times.
    @computed_once
    def amount_minor(self) -> int:
        """Amount in minor units, 0 to 10^12."""
        return money.to_minor_units(self.amount, self.currency)

    @computed_once
    def event_time_ms(self) -> int:
        """Event time in UTC milliseconds."""
        return to_milliseconds(self.timestamp)

    @computed_once
    def event_time(self) -> str:
        """Event time as RFC 3339 in UTC with three decimals."""
        return to_rfc3339(self.event_time_ms)

    @classmethod
    def from_wire(cls, body: bytes) -> Self:
        """Read a request body; unknown fields are refused.

        Raises:
            pydantic.ValidationError: With the location of each wrong field, never its value.
        """
        return cls.model_validate_json(body)

    @classmethod
    def from_event(cls, data: bytes | Mapping[str, Any]) -> Self:
        """Read the data of an event; fields that later versions may have added are ignored.

        Raises:
            pydantic.ValidationError: With the location of each wrong field, never its value.
        """
        if isinstance(data, bytes):
            return cls.model_validate_json(data, extra="ignore")
        return cls.model_validate(data, extra="ignore")

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form: exact decimal as text, UTC milliseconds as RFC 3339, absent fields left out."""
        wire: dict[str, Any] = {
            "transaction_id": self.transaction_id,
            "card_id": self.card_id,
            "amount": money.to_major_units(self.amount_minor, self.currency),
            "currency": self.currency,
            "merchant_id": self.merchant_id,
        }
        for name in ("merchant_category", "city", "country", "latitude", "longitude", "channel"):
            value = getattr(self, name)
            if value is not None:
                wire[name] = value
        wire["timestamp"] = self.event_time
        return wire
