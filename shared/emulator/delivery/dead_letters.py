"""What a dead letter looks like: the record as it was, and why and where it failed, in headers.

The names of the error extensions are Knative's (eventing-kafka-broker `RecordDispatcherImpl.errorTransform`); the
coordinates of the original record are ours, so that it can be sent to its topic again.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Final

from shared.emulator.delivery.record import Headers, Record

ERROR_DESTINATION: Final = "ce_knativeerrordest"
ERROR_CODE: Final = "ce_knativeerrorcode"
ERROR_DATA: Final = "ce_knativeerrordata"
ORIGINAL_TOPIC: Final = "ce_originaltopic"
ORIGINAL_PARTITION: Final = "ce_originalpartition"
ORIGINAL_OFFSET: Final = "ce_originaloffset"
ORIGINAL_SOURCE: Final = "ce_originalsource"
VALUE_OMITTED: Final = "ce_originalvalueomitted"
"""Bytes of the original value, on a dead letter that would have been too large for its topic with it."""

_ADDED: Final = frozenset(
    (
        ERROR_DESTINATION,
        ERROR_CODE,
        ERROR_DATA,
        ORIGINAL_TOPIC,
        ORIGINAL_PARTITION,
        ORIGINAL_OFFSET,
        ORIGINAL_SOURCE,
        VALUE_OMITTED,
    )
)
_LARGEST_KEPT_KEY: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record was given up.

    Attributes:
        kind: Short name for metrics: "unrepresentable", "refused", "retries_exhausted".
        destination: Address of the sink.
        code: HTTP status of the last answer; 500 when there was none, 400 when no request could be made.
        reason: At most 1 KiB of the answer's body, or a sentence.
    """

    kind: str
    destination: str
    code: int
    reason: bytes


def without_error(headers: Headers) -> Headers:
    """Return the headers that the record had before it became a dead letter."""
    return [(name, value) for name, value in headers if name.lower() not in _ADDED]


def with_error(record: Record, source: str, failure: Failure) -> Headers:
    """Return the headers of the dead letter: the record's own, the failure, and where the record came from."""
    return [*without_error(record.headers), *_error_headers(record, source, failure)]


def _error_headers(record: Record, source: str, failure: Failure) -> Headers:
    return [
        (ERROR_DESTINATION, failure.destination.encode()),
        (ERROR_CODE, str(failure.code).encode()),
        (ERROR_DATA, base64.b64encode(failure.reason)),
        (ORIGINAL_TOPIC, record.topic.encode()),
        (ORIGINAL_PARTITION, str(record.partition).encode()),
        (ORIGINAL_OFFSET, str(record.offset).encode()),
        (ORIGINAL_SOURCE, source.encode()),
    ]


def reduced(record: Record, source: str, failure: Failure) -> tuple[bytes | None, Headers]:
    """Return key and headers of a dead letter without value and original headers, for a record that is too large.

    The original stays readable at its coordinates as long as its topic keeps it.
    """
    key = record.key if record.key is None or len(record.key) <= _LARGEST_KEPT_KEY else None
    omitted = str(len(record.value or b"")).encode()
    return key, [*_error_headers(record, source, failure), (VALUE_OMITTED, omitted)]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic, understood.

    Attributes:
        record: As it stands in the dead-letter topic.
        original_topic: None on a record that no delivery put there; then the other originals are None too.
        reason: The answer's body as text; of an RFC 9457 problem its detail.
    """

    record: Record
    original_topic: str | None
    original_partition: int | None
    original_offset: int | None
    source: str | None
    destination: str | None
    code: str | None
    reason: str
    value_omitted: bool

    @classmethod
    def from_record(cls, record: Record) -> "DeadLetter":
        """Read the headers; whatever is missing or malformed is None."""
        named = {name.lower(): value for name, value in record.headers if value is not None}
        topic = _text(named.get(ORIGINAL_TOPIC))
        return cls(
            record=record,
            original_topic=topic,
            original_partition=_number(named.get(ORIGINAL_PARTITION)) if topic else None,
            original_offset=_number(named.get(ORIGINAL_OFFSET)) if topic else None,
            source=_text(named.get(ORIGINAL_SOURCE)),
            destination=_text(named.get(ERROR_DESTINATION)),
            code=_text(named.get(ERROR_CODE)),
            reason=_reason(named.get(ERROR_DATA, b"")),
            value_omitted=VALUE_OMITTED in named,
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _number(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None


def _reason(data: bytes) -> str:
    try:
        body = base64.b64decode(data, validate=True)
    except binascii.Error:
        body = data
    text = body.decode(errors="replace")
    try:
        problem = json.loads(text)
    except ValueError:
        return text
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else text
