"""Field types that several contracts share."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.contracts.card_numbers import contains_card_number
from shared.contracts.event_time import to_milliseconds

_MAX_TEXT_BYTES = 255  # the feature store keeps a text's length in one byte
_RFC3339_START = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")


def _safe_text(value: str) -> str:
    if len(value) * 4 > _MAX_TEXT_BYTES and len(value.encode()) > _MAX_TEXT_BYTES:
        raise PydanticCustomError("text_too_long", "must be at most 255 bytes of UTF-8")
    if contains_card_number(value):
        raise PydanticCustomError("card_number", "holds a raw card number; send a token instead")
    return value


def _require_rfc3339(value: Any) -> Any:
    # pydantic alone would also take numbers, numeric strings and bare dates.
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339_START.match(value)):
        return value
    raise PydanticCustomError("timestamp", "must be an RFC 3339 date and time with a zone")


def _since_1970(value: datetime) -> datetime:
    if value.year <= 1970 and to_milliseconds(value) < 0:  # the year alone settles it but around its turn
        raise PydanticCustomError("timestamp", "must not be before 1970")
    return value


Text = Annotated[
    str,
    # no control characters: identifiers become keys, log fields and HTTP headers
    StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_safe_text),
]
"""Text of 1 to 128 characters (255 bytes of UTF-8) without control characters and card numbers."""

Timestamp = Annotated[AwareDatetime, BeforeValidator(_require_rfc3339), AfterValidator(_since_1970)]
"""RFC 3339 with a zone, from 1970 on."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""

Score = Annotated[float, Field(ge=0, le=1)]
"""Calibrated probability of fraud."""
