"""Requests encoded before the run, with what differs from one to the next patched in while sending."""

from __future__ import annotations

import itertools
import secrets
import string
import time
from collections.abc import Callable, Iterable

import orjson

from shared.contracts.event_time import to_rfc3339
from shared.contracts.transaction import Transaction
from shared.loadgen.connection import Target

RequestSource = Callable[[], bytes]
"""Returns the bytes of the next request, called when it is sent."""

_ID_DIGITS = 12
_TIMESTAMP_AT = b"0000-00-00T00:00:00.000Z"


def fixed_request(target: Target, body: bytes | None = None) -> RequestSource:
    """Send the same request each time: a POST of `body` as JSON, or a GET without one."""
    request = _head(target, body) + (body or b"")
    return lambda: request


class TransactionRequests:
    """Transactions as requests, each with an id of its own and the present as its event time.

    Identifier and timestamp have a fixed width, so a request is five pieces of bytes put together; the run's own
    letters keep its ids apart from those of other runs.
    """

    def __init__(self, target: Target, transactions: Iterable[Transaction]) -> None:
        """Encode the transactions.

        Args:
            target: Where they go.
            transactions: Taken in turn, and from the start again when all were sent.

        Raises:
            ValueError: There are none.
        """
        run = "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
        self._prefix = f"load-{run}-".encode()
        templates = [_template(target, transaction, len(self._prefix) + _ID_DIGITS) for transaction in transactions]
        if not templates:
            raise ValueError("no transactions to send")
        self._templates = itertools.cycle(templates)
        self._numbers = itertools.count()
        self._millisecond = -1
        self._timestamp = b""

    def __call__(self) -> bytes:
        """Return the next request."""
        millisecond = time.time_ns() // 1_000_000
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._timestamp = to_rfc3339(millisecond).encode()
        head, middle, tail = next(self._templates)
        return b"%b%b%012d%b%b%b" % (head, self._prefix, next(self._numbers), middle, self._timestamp, tail)


def _template(target: Target, transaction: Transaction, id_width: int) -> tuple[bytes, bytes, bytes]:
    wire = transaction.to_wire()
    body = orjson.dumps({"transaction_id": "#" * id_width, **_without_own(wire), "timestamp": _TIMESTAMP_AT.decode()})
    before, after = body.split(b"#" * id_width, 1)
    middle, tail = after.rsplit(_TIMESTAMP_AT, 1)
    return _head(target, body) + before, middle, tail


def _without_own(wire: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in wire.items() if name not in ("transaction_id", "timestamp")}


def _head(target: Target, body: bytes | None) -> bytes:
    lines = [f"{'GET' if body is None else 'POST'} {target.path} HTTP/1.1", f"Host: {target.authority}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
