"""RFC 9457 problem documents: the one form of an error at the edge."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.card_numbers import mask_card_numbers

MEDIA_TYPE = "application/problem+json"
_MAX_ERRORS = 20
_MAX_FIELD = 200
_PLAIN_MESSAGES = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "model_type": "must be an object",
    "json_invalid": "is not valid JSON",
}


class FieldError(BaseModel):
    """One wrong field."""

    field: str = Field(description="Path of the field; empty for the whole document.")
    detail: str = Field(description="What is wrong with it, never its value.")


class Problem(BaseModel):
    """An error as RFC 9457 writes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "amount: has more than the 2 decimals of EUR",
                    "errors": [{"field": "amount", "detail": "has more than the 2 decimals of EUR"}],
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)

    def body(self) -> bytes:
        """Return the JSON document."""
        return orjson.dumps(self.model_dump(exclude_defaults=False))


def problem(status: int, detail: str, errors: Iterable[FieldError] = ()) -> Problem:
    """Build a problem document; anything that looks like a card number is masked."""
    return Problem(
        title=HTTPStatus(status).phrase, status=status, detail=mask_card_numbers(detail), errors=list(errors)
    )


def from_validation(error: ValidationError, status: int = 422, at: tuple[str | int, ...] = ()) -> Problem:
    """Turn a validation error into a problem that names each wrong field and repeats no value.

    Args:
        error: What pydantic found.
        status: HTTP status of the problem.
        at: Path of the validated part in the whole document.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [_from_pydantic(item, at) for item in found[:_MAX_ERRORS]]
    return problem(status, describe(errors), errors)


def describe(errors: Iterable[FieldError]) -> str:
    """Say all field errors in one line."""
    return "; ".join(f"{error.field or 'document'}: {error.detail}" for error in errors)


def field_error(field: str, detail: str) -> FieldError:
    """Say what is wrong with one field; a card number in the field's name is masked."""
    return FieldError(field=mask_card_numbers(field)[:_MAX_FIELD], detail=detail)


def _from_pydantic(item: Mapping[str, Any], at: tuple[str | int, ...]) -> FieldError:
    path = ".".join(str(part) for part in (*at, *item["loc"]))
    return field_error(path, _PLAIN_MESSAGES.get(item["type"], item["msg"]))
