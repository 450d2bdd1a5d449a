"""Reading requests: the trace, the body within its bound, the transactions in it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import orjson
from pydantic import ValidationError

from shared.contracts import problems
from shared.contracts.event_time import now_milliseconds
from shared.contracts.problems import FieldError, Problem
from shared.contracts.transaction import Transaction
from shared.features.catalogue import Settings

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
MAX_BATCH = 1_000
MAX_BODY_BYTES = 64 * 1024
MAX_BATCH_BODY_BYTES = 4 * 1024 * 1024

Receive = Callable[[], Awaitable[Any]]


class Refused(Exception):
    """A request that gets a problem document."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def find_header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return a header of an ASGI scope (names are in lower case there), or None."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


def require_json(content_type: str | None) -> None:
    """Check the media type; none at all passes for JSON.

    Raises:
        Refused: 415.
    """
    if content_type is None or content_type == "application/json":
        return
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refused(problems.problem(415, "content-type: must be application/json"))


def wants_details(query: bytes) -> bool:
    """Read ``details`` from a query; without it, no.

    Raises:
        Refused: 422 when it is no boolean.
    """
    if not query:
        return False
    wanted = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("details", ["false"])[-1].lower()
    if wanted not in _BOOLEANS:
        raise _refuse_field("query.details", "must be true or false")
    return _BOOLEANS[wanted]


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a request body.

    Raises:
        Refused: 413 beyond the limit; 400 when the caller goes away in the middle.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(body) > limit:
            break
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Refused(problems.problem(400, "document: the request ended before its body did"))
    if len(body) > limit:
        raise Refused(problems.problem(413, f"document: must be at most {limit} bytes"))
    return body


def read_transaction(body: bytes, settings: Settings) -> Transaction:
    """Read the one transaction of a request.

    Raises:
        Refused: 422 naming each wrong field.
    """
    try:
        transaction = Transaction.from_wire(body)
    except ValidationError as error:
        raise Refused(problems.from_validation(error)) from None
    if settings.refuses(transaction.event_time_ms, now_milliseconds()):
        raise _future("timestamp", settings)
    return transaction


def read_batch(body: bytes, settings: Settings) -> list[Transaction]:
    """Read the transactions of a batch: an object ``{"transactions": [...]}`` of 1 to 1,000.

    Raises:
        Refused: 422 naming each wrong field by its place, such as ``transactions.3.amount``.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _refuse_field("", "is not valid JSON") from None
    items = document.get("transactions") if isinstance(document, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
        raise _refuse_field("transactions", f"must be a list of 1 to {MAX_BATCH} transactions")
    unknown = [name for name in document if name != "transactions"]
    if unknown:
        raise _refuse_field(unknown[0], "is not a known field")
    transactions: list[Transaction] = []
    errors: list[FieldError] = []
    for place, item in enumerate(items):
        try:
            transactions.append(Transaction.from_wire(orjson.dumps(item)))
        except ValidationError as error:
            errors.extend(problems.from_validation(error, at=("transactions", place)).errors)
        except orjson.JSONEncodeError:  # it reads deeper documents than it writes
            errors.append(problems.field_error(f"transactions.{place}", "is nested too deeply"))
    if errors:
        raise Refused(problems.problem(422, problems.describe(errors[:20]), errors[:20]))
    now = now_milliseconds()
    for place, transaction in enumerate(transactions):
        if settings.refuses(transaction.event_time_ms, now):
            raise _future(f"transactions.{place}.timestamp", settings)
    return transactions


def _future(field: str, settings: Settings) -> Refused:
    minutes = settings.future_tolerance_ms // 60_000
    return _refuse_field(field, f"must not be more than {minutes} minutes ahead of the clock")


def _refuse_field(field: str, detail: str) -> Refused:
    error = problems.field_error(field, detail)
    return Refused(problems.problem(422, problems.describe([error]), [error]))
