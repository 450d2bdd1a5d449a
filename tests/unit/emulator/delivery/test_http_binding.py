import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import cloudevents
from shared.emulator.delivery.http_binding import MAX_HEADER_BYTES, UnrepresentableRecord, to_http
from shared.emulator.delivery.record import Headers, Record

VISIBLE = set(string.printable) - set(string.whitespace) | {" "}


def record(
    headers: Headers | None = None, *, key: bytes | None = b"card-1", value: bytes | None = b"{}", timestamp=0
) -> Record:
    return Record("fraud.transactions", 3, 42, key, value, headers or [], timestamp)


def binary(**attributes: bytes | None) -> Headers:
    event: dict[str, bytes | None] = {"specversion": b"1.0", "id": b"t-1", "source": b"/bank", "type": b"x.y"}
    return [(f"ce_{name}", value) for name, value in (event | attributes).items()]


def request(*arguments, **named):
    return to_http(record(*arguments, **named), "fraud", "updater")


def test_an_event_of_ours_arrives_as_it_was_sent() -> None:
    event = cloudevents.Event(
        id="t-1", source="/bank", type=cloudevents.TRANSACTION, data=b'{"a":1}', subject="t-1", partition_key="card 7%"
    )
    key, value, headers = cloudevents.to_kafka(event)
    sent = request(list(headers), key=key, value=value)
    assert cloudevents.from_http(sent.headers, sent.body) == event
    assert sent.headers["content-type"] == "application/json"


def test_a_plain_record_is_wrapped_as_knative_does() -> None:
    sent = request([("X-Trace", b"a b"), ("content-type", b"text/plain")], key=b"k", value=b"v")
    assert sent.body == b"v"
    assert sent.headers == {
        "ce-specversion": "1.0",
        "ce-type": "dev.knative.kafka.event",
        "ce-id": "partition:3/offset:42",
        "ce-source": "/apis/v1/namespaces/fraud/kafkasources/updater#fraud.transactions",
        "ce-subject": "partition:3#42",
        "ce-time": "1970-01-01T00:00:00.000Z",
        "ce-key": "k",
        "ce-partitionkey": "k",
        "ce-kafkaheaderxtrace": "a%20b",
        "content-type": "text/plain",
        "prefer": "reply",
        "kn-namespace": "fraud",
    }


def test_the_sink_is_told_the_namespace_and_that_a_reply_is_welcome() -> None:
    for headers in (binary(), [], [("content-type", b"application/cloudevents+json")]):
        sent = request(headers).headers
        assert (sent["prefer"], sent["kn-namespace"]) == ("reply", "fraud")


def test_null_key_and_null_value_are_an_event_without_key_and_data() -> None:
    sent = request(key=None, value=None)
    assert sent.body == b""
    assert "ce-key" not in sent.headers


def test_a_binary_event_without_value_keeps_its_attributes() -> None:
    sent = request(binary(), value=None)
    assert (sent.body, sent.headers["ce-id"]) == (b"", "t-1")


STRUCTURED: Headers = [("Content-Type", b"application/cloudevents+json; charset=utf-8"), ("ce_id", b"other")]


def document(**changes: object) -> bytes:
    event = {"specversion": "1.0", "id": "t-1", "source": "/bank", "type": "x.y", "subject": "caf\u00e9", "retries": 3}
    return json.dumps(event | {"datacontenttype": "application/json", "data": {"a": [1, None]}} | changes).encode()


def test_a_structured_event_is_sent_in_binary_mode() -> None:
    sent = request(STRUCTURED, value=document(late=True, absent=None))
    assert sent.body == b'{"a":[1,null]}'
    assert sent.headers == {
        "ce-specversion": "1.0",
        "ce-id": "t-1",
        "ce-source": "/bank",
        "ce-type": "x.y",
        "ce-subject": "caf%C3%A9",
        "ce-retries": "3",
        "ce-late": "true",
        "content-type": "application/json",
        "prefer": "reply",
        "kn-namespace": "fraud",
    }


def test_data_of_a_structured_event_may_be_text_bytes_or_absent() -> None:
    assert request(STRUCTURED, value=document(datacontenttype="text/plain", data="a")).body == b"a"
    assert request(STRUCTURED, value=document(data_base64="AAE=")).body == b"\x00\x01"
    assert request(STRUCTURED, value=document(data=None)).body == b""
    assert request(STRUCTURED, value=document(datacontenttype=None)).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{", document(id=None), document(source=[1]), document(data_base64="?"), b"[" * 2000]
)
def test_a_malformed_structured_event_is_a_plain_record(value: bytes) -> None:
    sent = request(STRUCTURED, value=value)
    assert (sent.headers["ce-type"], sent.body) == ("dev.knative.kafka.event", value)
    assert "content-type" not in sent.headers  # it would make a receiver read the body as an event


@pytest.mark.parametrize("missing", ["id", "source", "type"])
def test_an_event_without_a_required_attribute_is_a_plain_record(missing: str) -> None:
    for absent in (None, b""):
        assert request(binary(**{missing: absent})).headers["ce-type"] == "dev.knative.kafka.event"


def test_an_unknown_spec_version_is_a_plain_record() -> None:
    assert request(binary(specversion=b"9.9")).headers["ce-type"] == "dev.knative.kafka.event"


def test_attribute_values_cannot_inject_headers() -> None:
    sent = request(binary(subject=b'a\r\nX-Evil: 1\r\n\r\n"\x00\xc3\xa9%'))
    assert sent.headers["ce-subject"] == "a%0D%0AX-Evil:%201%0D%0A%0D%0A%22%00%C3%A9%25"


def test_attribute_names_cannot_inject_headers() -> None:
    sent = request([*binary(), ("ce_x: y\r\nevil", b"1"), ("ce_caf\u00e9", b"1"), ("evil\r\nb", b"1")])
    assert set(sent.headers) == {"ce-specversion", "ce-id", "ce-source", "ce-type", "prefer", "kn-namespace"}


def test_other_headers_of_an_event_are_left_out_but_its_trace_is_not() -> None:
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = request([*binary(), ("authorization", b"secret"), ("traceparent", trace)])
    assert "authorization" not in sent.headers
    assert sent.headers["traceparent"] == trace.decode()
    assert "traceparent" not in request([*binary(), ("traceparent", b"00-x\r\n")]).headers


def test_an_attribute_that_is_not_text_cannot_be_represented() -> None:
    with pytest.raises(UnrepresentableRecord, match="attribute id is not UTF-8"):
        request(binary(id=b"\xff\xfe"))


def test_a_content_type_that_is_no_header_value_cannot_be_represented() -> None:
    with pytest.raises(UnrepresentableRecord, match="content type"):
        request([*binary(), ("content-type", b"a/b\r\nX: y")])


def test_a_plain_record_loses_a_content_type_that_is_no_header_value() -> None:
    assert "content-type" not in request([("content-type", b"\x00")]).headers


def test_attributes_too_long_for_headers_cannot_be_represented() -> None:
    with pytest.raises(UnrepresentableRecord, match="exceed"):
        request(binary(subject=b"x" * MAX_HEADER_BYTES))
    with pytest.raises(UnrepresentableRecord, match="exceed"):
        request(key=b"\xff" * MAX_HEADER_BYTES)


@given(
    st.lists(st.tuples(st.text(max_size=12), st.none() | st.binary(max_size=40)), max_size=6),
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=40),
    st.integers(-1, 2**62),
)
def test_any_record_becomes_a_well_formed_request_or_is_refused(headers, key, value, timestamp) -> None:
    for given_headers in (headers, [*binary(), *headers]):
        try:
            sent = request(given_headers, key=key, value=value, timestamp=timestamp)
        except UnrepresentableRecord:
            continue
        assert sent.body == (value or b"")
        for name, text in sent.headers.items():
            assert set(name) <= set(string.ascii_lowercase + string.digits + "-")
            assert set(text) <= VISIBLE
