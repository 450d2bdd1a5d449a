"""CloudEvents 1.0 in and out: binary and structured mode, over HTTP and Kafka.

An own codec, since the SDK puts the payload into its error messages (a card number in a bad event would reach the
logs) and refuses a Kafka record without content type. It follows the CloudEvents 1.0.2 HTTP and Kafka protocol
bindings and the JSON event format.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

import orjson

from shared.contracts.card_numbers import mask_card_numbers
from shared.contracts.event_time import to_rfc3339

TRANSACTION: Final = "dev.fraud.transaction.v1"
DECISION: Final = "dev.fraud.decision.v1"
SHADOW: Final = "dev.fraud.shadow.v1"
LABEL: Final = "dev.fraud.label.v1"
DRIFT: Final = "dev.fraud.drift.v1"
MODEL: Final = "dev.fraud.model.v1"
PING: Final = "dev.knative.sources.ping"
PLAIN_KAFKA: Final = "dev.knative.kafka.event"
"""Type that Knative's KafkaSource gives to a record that is no CloudEvent."""

_STRUCTURED = "application/cloudevents"
_STRUCTURED_JSON = "application/cloudevents+json"
_JSON = "application/json"
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,64}")
_CONTEXT = frozenset({"specversion", "id", "source", "type", "subject", "time", "traceparent", "partitionkey"})
_PRINTABLE = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
_MAX_REASON = 300

KafkaHeaders = list[tuple[str, bytes]]


class PoisonEvent(ValueError):
    """An event that can never be read, however often it comes.

    The message names what is wrong, never a value; a card number in a name is masked.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(mask_card_numbers(reason)[:_MAX_REASON])


class Event(NamedTuple):
    """A CloudEvent whose data is JSON.

    Attributes:
        id: Stable over redelivery; unique per source.
        source: URI reference of the producer.
        type: For example ``dev.fraud.transaction.v1``.
        data: The JSON document, not yet parsed.
        subject: Transaction id, where there is one.
        time: RFC 3339, when it happened.
        partition_key: Card id: the Kafka key, and CloudEvents' partitioning extension.
        traceparent: W3C trace context, CloudEvents' distributed tracing extension.
    """

    id: str
    source: str
    type: str
    data: bytes
    subject: str | None = None
    time: str | None = None
    partition_key: str | None = None
    traceparent: str | None = None

    def attributes(self) -> dict[str, str]:
        """Return the context attributes by their CloudEvents names, absent ones left out."""
        named = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "partitionkey": self.partition_key,
            "traceparent": self.traceparent,
        }
        return {name: value for name, value in named.items() if value is not None}


def event_time(milliseconds: int) -> str:
    """Write UTC milliseconds as the ``time`` attribute."""
    return to_rfc3339(milliseconds)


def to_kafka(event: Event) -> tuple[bytes | None, bytes, KafkaHeaders]:
    """Write an event as a Kafka record in binary mode: key, value, headers."""
    headers = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
    ]
    if event.subject is not None:
        headers.append(("ce_subject", event.subject.encode()))
    if event.time is not None:
        headers.append(("ce_time", event.time.encode()))
    if event.traceparent is not None:
        headers.append(("ce_traceparent", event.traceparent.encode()))
    if event.partition_key is None:
        return None, event.data, headers
    key = event.partition_key.encode()
    headers.append(("ce_partitionkey", key))
    return key, event.data, headers


def to_http(event: Event) -> tuple[dict[str, str], bytes]:
    """Write an event as an HTTP request in binary mode: headers, body."""
    headers = {f"ce-{name}": quote(value, safe=_PRINTABLE) for name, value in event.attributes().items()}
    headers["content-type"] = _JSON
    return headers, event.data


def to_structured(event: Event) -> bytes:
    """Write an event as one JSON document, media type ``application/cloudevents+json``."""
    document: dict[str, Any] = {
        **event.attributes(),
        "datacontenttype": _JSON,
        "data": orjson.Fragment(event.data),
    }
    return orjson.dumps(document)


def from_kafka(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> Event:
    """Read a Kafka record in binary or structured mode.

    Raises:
        PoisonEvent: It is no CloudEvent, or lacks a required attribute.
    """
    named = {name.lower(): header for name, header in headers or () if header is not None}
    content_type = _decode("content-type", named.get("content-type", b""))
    if content_type.lower().startswith(_STRUCTURED):
        return _from_structured(value or b"", _decode_key(key))
    attributes = {name[3:]: _decode(name, header) for name, header in named.items() if name.startswith("ce_")}
    return _build(attributes, value or b"", content_type, _decode_key(key))


def from_http(headers: Mapping[str, str] | Iterable[tuple[str, str]], body: bytes) -> Event:
    """Read an HTTP request in binary or structured mode.

    Raises:
        PoisonEvent: It is no CloudEvent, or lacks a required attribute.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    named = {name.lower(): value for name, value in pairs}
    content_type = named.get("content-type", "")
    if content_type.lower().startswith(_STRUCTURED):
        return _from_structured(body, None)
    attributes = {name[3:]: _unquote(name, value) for name, value in named.items() if name.startswith("ce-")}
    return _build(attributes, body, content_type, attributes.get("key"))


def _decode(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PoisonEvent(f"header {name!a} is not UTF-8") from None


def _decode_key(key: bytes | None) -> str | None:
    return None if key is None else _decode("key", key)


def _unquote(name: str, value: str) -> str:
    # HTTP binding 3.1.3.2: values are percent-encoded UTF-8.
    return _decode(name, unquote_to_bytes(value)) if "%" in value else value


def _from_structured(body: bytes, key: str | None) -> Event:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise PoisonEvent("the structured CloudEvent is not JSON") from None
    if not isinstance(document, dict):
        raise PoisonEvent("the structured CloudEvent is not a JSON object")
    if "data_base64" in document:
        try:
            data = base64.b64decode(document.pop("data_base64"), validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise PoisonEvent("data_base64 is not base64") from None
    else:
        try:
            data = orjson.dumps(document.pop("data", None))
        except orjson.JSONEncodeError:  # it reads deeper documents than it writes
            raise PoisonEvent("the data is nested too deeply") from None
    content_type = document.pop("datacontenttype", None) or _JSON
    attributes = {name: _attribute(name, value) for name, value in document.items() if value is not None}
    return _build(attributes, data, str(content_type), key)


def _attribute(name: str, value: Any) -> str:
    # JSON event format 2.2 to 2.4: null is unset, and extensions may be booleans and integers.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise PoisonEvent(f"attribute {name!a} is not a string, integer or boolean")
    return value


def _build(attributes: dict[str, str], data: bytes, content_type: str, key: str | None) -> Event:
    if attributes.get("specversion") != "1.0":
        raise PoisonEvent("not a CloudEvent of specversion 1.0")
    for name in attributes.keys() - _CONTEXT:
        if _ATTRIBUTE_NAME.fullmatch(name) is None:
            raise PoisonEvent(f"attribute name {name!a} is not lower-case letters and digits")
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise PoisonEvent(f"required attribute {name} is missing or empty")
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type and media_type != _JSON and not media_type.endswith("+json"):
        raise PoisonEvent("the data is not JSON by its content type")
    return Event(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        data=data,
        subject=attributes.get("subject"),
        time=attributes.get("time"),
        partition_key=attributes.get("partitionkey", key),
        traceparent=attributes.get("traceparent"),
    )
