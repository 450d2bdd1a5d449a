"""A Kafka record as the HTTP request that KafkaSource makes of it.

Sources: CloudEvents 1.0.2 Kafka and HTTP protocol bindings and JSON event format; for records that are no CloudEvents,
`InvalidCloudEventInterceptor` and `KeyDeserializer` in eventing-kafka-broker; for the headers beside the event's,
`WebClientCloudEventSender` there.
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import orjson

from shared.contracts.cloudevents import PLAIN_KAFKA
from shared.emulator.delivery.record import Record

MAX_HEADER_BYTES: Final = 32 * 1024
"""Header bytes of one request, names and values; servers refuse more at 64 KiB (h11) or earlier (16 KiB, Node)."""

_STRUCTURED: Final = b"application/cloudevents"
_JSON: Final = b"application/json"
_CE_PREFIX: Final = "ce_"
_REQUIRED: Final = ("id", "source", "type")
_SPEC_VERSIONS: Final = frozenset((b"1.0", b"0.3"))

_ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]{1,256}")
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")
# Printable ASCII without space, double quote and percent passes as it is (HTTP binding 3.1.3.2).
_LITERAL: Final = re.compile(rb"[!#$&-~]*")
_SAFE: Final = "".join(map(chr, (0x21, 0x23, 0x24, *range(0x26, 0x7F))))
_CONTENT_TYPE: Final = re.compile(rb"[!-~](?:[ -~]{0,254}[!-~])?")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class UnrepresentableRecord(ValueError):
    """A record that no HTTP request can carry. The message names what is wrong, never a value."""


@dataclass(frozen=True, slots=True)
class HttpEvent:
    """Headers and body of the POST."""

    headers: dict[str, str]
    body: bytes


def to_http(record: Record, namespace: str, source_name: str) -> HttpEvent:
    """Map a record to the request of the KafkaSource of that namespace and name.

    A CloudEvent, structured (JSON) or binary, is sent with its attributes as `ce-*` headers. Everything else, also a
    CloudEvent that is malformed or lacks a required attribute, is wrapped in an event of type
    `dev.knative.kafka.event`. Other record headers have no place in a CloudEvent and are left out, except a W3C
    `traceparent`.

    Raises:
        UnrepresentableRecord: An attribute is not text, the content type is not a header value, or the headers are
            longer than `MAX_HEADER_BYTES`.
    """
    named = {name.lower(): value for name, value in record.headers if value is not None}
    content_type = named.get("content-type", b"").strip()
    structured = content_type[: len(_STRUCTURED)].lower() == _STRUCTURED
    event, body = _unfolded(record.value) if structured else (named, record.value or b"")
    if _is_binary_event(event):
        headers = _attributes(event)
        declared = event.get("ce_datacontenttype", b"").strip()
        content_type = (declared or _JSON) if structured else (content_type or declared)
    else:
        headers, body = _wrapped(record, named, namespace, source_name), record.value or b""
        if structured or _CONTENT_TYPE.fullmatch(content_type) is None:
            content_type = b""  # a plain record's header promises nothing
    if content_type:
        if _CONTENT_TYPE.fullmatch(content_type) is None:
            raise UnrepresentableRecord("the content type is not an HTTP header value")
        headers["content-type"] = content_type.decode("ascii")
    traceparent = named.get("traceparent")
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        headers["traceparent"] = traceparent.decode("ascii")
    headers |= {"prefer": "reply", "kn-namespace": namespace}
    length = sum(len(name) + len(value) + 4 for name, value in headers.items())
    if length > MAX_HEADER_BYTES:
        raise UnrepresentableRecord(f"attributes of {length} bytes exceed the {MAX_HEADER_BYTES} that fit HTTP headers")
    return HttpEvent(headers, body)


def _unfolded(value: bytes | None) -> tuple[dict[str, bytes], bytes]:
    """Attributes of a structured event, named as in a binary one, and its data; nothing of a malformed one."""
    try:
        document = orjson.loads(value or b"")
        if not isinstance(document, dict):
            return {}, b""
        data, encoded = document.pop("data", None), document.pop("data_base64", None)
        named = {_CE_PREFIX + name: _text(one).encode() for name, one in document.items() if one is not None}
        if encoded is not None:
            return named, base64.b64decode(encoded, validate=True)
        if isinstance(data, str) and b"json" not in named.get("ce_datacontenttype", _JSON):
            return named, data.encode()
        return named, b"" if data is None else orjson.dumps(data)
    except (ValueError, TypeError):  # no JSON, no attribute, no base64, or nested too deeply
        return {}, b""


def _text(value: object) -> str:
    """An attribute of the JSON event format (2.2) in its canonical form.

    Raises:
        TypeError: It is none.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise TypeError("an attribute is a string, an integer or a boolean")


def _is_binary_event(named: dict[str, bytes]) -> bool:
    return named.get("ce_specversion") in _SPEC_VERSIONS and all(named.get(_CE_PREFIX + name) for name in _REQUIRED)


def _attributes(named: dict[str, bytes]) -> dict[str, str]:
    headers = {}
    for name, value in named.items():
        if not name.startswith(_CE_PREFIX):
            continue
        attribute = name[len(_CE_PREFIX) :]
        if attribute == "datacontenttype" or _ATTRIBUTE_NAME.fullmatch(attribute) is None:
            continue
        headers["ce-" + attribute] = _encode(attribute, value)
    return headers


def _encode(attribute: str, value: bytes) -> str:
    if _LITERAL.fullmatch(value):
        return value.decode("ascii")
    try:
        return quote(value.decode(), safe=_SAFE)
    except UnicodeDecodeError:
        raise UnrepresentableRecord(f"CloudEvents attribute {attribute[:64]} is not UTF-8 text") from None


def _wrapped(record: Record, named: dict[str, bytes], namespace: str, source_name: str) -> dict[str, str]:
    headers = {
        "ce-specversion": "1.0",
        "ce-type": PLAIN_KAFKA,
        "ce-id": f"partition:{record.partition}/offset:{record.offset}",
        "ce-source": f"/apis/v1/namespaces/{namespace}/kafkasources/{source_name}#{record.topic}",
        "ce-subject": f"partition:{record.partition}#{record.offset}",
    }
    if record.timestamp_ms is not None and record.timestamp_ms >= 0:
        try:
            time = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        except (OverflowError, ValueError):
            pass  # a producer's invented time beyond year 9999: the attribute is optional
        else:
            headers["ce-time"] = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if record.key:
        headers["ce-key"] = headers["ce-partitionkey"] = _lenient(record.key)
    for name, value in named.items():
        if name != "content-type":
            headers["ce-kafkaheader" + _NOT_IN_A_NAME.sub("", name)] = _lenient(value)
    return headers


def _lenient(value: bytes) -> str:
    """Text of arbitrary bytes: U+FFFD where they are not UTF-8, as Java's String decodes them."""
    return quote(value.decode(errors="replace"), safe=_SAFE)
