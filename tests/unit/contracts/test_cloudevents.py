from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent, from_http, from_kafka, to_http, to_kafka, to_structured
from tests.support.transactions import CARD_NUMBER

STRUCTURED = "application/cloudevents+json; charset=utf-8"
EVENT = Event(
    id="tx-1",
    source="/fraud/producer",
    type=cloudevents.TRANSACTION,
    data=b'{"transaction_id":"tx-1"}',
    subject="tx-1",
    time="2026-01-15T12:30:45.250Z",
    partition_key="card-1",
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)
events = st.builds(
    Event,
    id=texts,
    source=texts,
    type=texts,
    data=documents.map(orjson.dumps),
    subject=st.none() | texts,
    time=st.none() | texts,
    partition_key=st.none() | texts,
    traceparent=st.none() | texts,
)


class TestRoundTrips:
    @settings(deadline=None)
    @given(events)
    def test_binary_on_kafka(self, event: Event) -> None:
        assert from_kafka(*to_kafka(event)) == event

    @settings(deadline=None)
    @given(events)
    def test_binary_over_http(self, event: Event) -> None:
        headers, body = to_http(event)
        assert from_http(headers, body) == event

    @settings(deadline=None)
    @given(events)
    def test_http_headers_are_plain_ascii_that_no_server_trims(self, event: Event) -> None:
        for name, value in to_http(event)[0].items():
            assert name.isascii()
            assert all("!" <= character <= "~" and character != '"' for character in value)

    @settings(deadline=None)
    @given(events)
    def test_structured_over_http_and_on_kafka(self, event: Event) -> None:
        body = to_structured(event)
        assert from_http({"Content-Type": STRUCTURED}, body) == event
        assert from_kafka(b"other-key", body, [("content-type", STRUCTURED.encode())]).data == event.data

    @settings(deadline=None)
    @given(events)
    def test_structured_data_may_be_base64(self, event: Event) -> None:
        document = orjson.loads(to_structured(event))
        del document["data"]
        document["data_base64"] = base64.b64encode(event.data).decode()
        assert from_http({"content-type": STRUCTURED}, orjson.dumps(document)) == event


class TestKafka:
    def test_records_are_binary_cloudevents_keyed_by_card(self) -> None:
        key, value, headers = to_kafka(EVENT)
        assert (key, value) == (b"card-1", EVENT.data)
        assert dict(headers) == {
            "content-type": b"application/json",
            "ce_specversion": b"1.0",
            "ce_id": b"tx-1",
            "ce_source": b"/fraud/producer",
            "ce_type": b"dev.fraud.transaction.v1",
            "ce_subject": b"tx-1",
            "ce_time": b"2026-01-15T12:30:45.250Z",
            "ce_partitionkey": b"card-1",
            "ce_traceparent": EVENT.traceparent.encode() if EVENT.traceparent else b"",
        }

    def test_the_key_serves_where_there_is_no_partitionkey(self) -> None:
        _, value, headers = to_kafka(EVENT)
        headers = [(name, content) for name, content in headers if name != "ce_partitionkey"]
        assert from_kafka(b"card-9", value, headers).partition_key == "card-9"

    def test_header_names_are_case_insensitive_and_foreign_ones_ignored(self) -> None:
        key, value, headers = to_kafka(EVENT)
        headers = [(name.upper(), content) for name, content in headers]
        assert from_kafka(key, value, [*headers, ("x-other", b"\xff"), ("empty", None)]) == EVENT

    def test_a_missing_content_type_passes_for_json(self) -> None:
        key, value, headers = to_kafka(EVENT)
        assert from_kafka(key, value, headers[1:]) == EVENT


class TestHttp:
    def test_binary_mode(self) -> None:
        headers = {
            "Ce-Specversion": "1.0",
            "Ce-Id": "caf%C3%A9%25",
            "Ce-Source": "/s",
            "Ce-Type": "t",
            "Content-Type": "application/json; charset=utf-8",
        }
        assert from_http(headers, b"1") == Event(id="café%", source="/s", type="t", data=b"1")

    def test_a_plain_kafka_record_as_knative_delivers_it(self) -> None:
        event = from_http(
            {
                "ce-specversion": "1.0",
                "ce-id": "partition:0/offset:7",
                "ce-source": "/apis/v1/namespaces/fraud/kafkasources/updater#fraud.transactions",
                "ce-type": cloudevents.PLAIN_KAFKA,
                "ce-subject": "partition:0#7",
                "ce-key": "card-1",
            },
            b"{}",
        )
        assert (event.type, event.partition_key, event.data) == (cloudevents.PLAIN_KAFKA, "card-1", b"{}")


class TestStructuredMode:
    def document(self, **changes: Any) -> bytes:
        return orjson.dumps({"specversion": "1.0", "id": "a", "source": "/s", "type": "t", "data": {}, **changes})

    def read(self, document: bytes) -> Event:
        return from_http({"content-type": STRUCTURED}, document)

    def test_null_attributes_are_absent(self) -> None:
        # JSON event format 1.0.2, section 2.2
        assert self.read(self.document(subject=None, time=None)).subject is None

    def test_extensions_may_be_numbers_and_booleans(self) -> None:
        assert self.read(self.document(sequence=5, replayed=True)).id == "a"

    def test_without_data_the_data_is_null(self) -> None:
        assert self.read(b'{"specversion":"1.0","id":"a","source":"/s","type":"t"}').data == b"null"

    @pytest.mark.parametrize(
        "changes",
        [
            {"specversion": "0.3"},
            {"specversion": None},
            {"id": ""},
            {"id": None},
            {"id": []},
            {"source": {}},
            {"type": ""},
            {"Upper": "x"},
            {"with-dash": "x"},
            {"x" * 65: "x"},
            {"extension": {}},
            {"extension": [1]},
            {"extension": 1.5},
            {"datacontenttype": "text/xml"},
            {"datacontenttype": 7},
            {"data_base64": "%%%"},
            {"data_base64": "é"},
            {"data_base64": 7},
            {"data_base64": None},
        ],
        ids=str,
    )
    def test_what_breaks_the_rules_is_poison(self, changes: dict[str, Any]) -> None:
        with pytest.raises(PoisonEvent):
            self.read(self.document(**changes))

    @pytest.mark.parametrize(
        "document",
        [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b"\0" * 100, b"[" * 100_000, b'{"a":"\\ud800"}'],
        ids=lambda document: repr(document[:12]),
    )
    def test_what_is_no_object_is_poison(self, document: bytes) -> None:
        with pytest.raises(PoisonEvent):
            self.read(document)

    @pytest.mark.parametrize("depth", [200, 300, 1_000, 1_030])
    def test_deep_data_is_read_or_poison(self, depth: int) -> None:
        document = self.document().replace(b"{}", b"[" * depth + b"]" * depth)
        with suppress(PoisonEvent):
            assert len(self.read(document).data) == 2 * depth


def hostile_headers(name: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(
        [f"{name}specversion", f"{name}id", f"{name}source", f"{name}type", f"{name}X", f"{name}a-b", name, ""]
    )


hostile_bytes = st.binary(max_size=40) | st.sampled_from(
    [b"1.0", b"a", b"application/json", b"application/cloudevents"]
)


@settings(deadline=None)
@given(
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=200) | documents.map(orjson.dumps),
    st.none()
    | st.lists(
        st.tuples(hostile_headers("ce_") | st.just("content-type") | st.text(max_size=10), st.none() | hostile_bytes)
    ),
)
def test_any_kafka_record_is_an_event_or_poison(key: Any, value: Any, headers: Any) -> None:
    with suppress(PoisonEvent):
        assert isinstance(from_kafka(key, value, headers), Event)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            hostile_headers("ce-") | st.just("content-type") | st.text(max_size=10),
            hostile_bytes.map(lambda value: value.decode("latin-1")),
        )
    ),
    st.binary(max_size=200) | documents.map(orjson.dumps),
)
def test_any_http_request_is_an_event_or_poison(headers: list[tuple[str, str]], body: bytes) -> None:
    with suppress(PoisonEvent):
        assert isinstance(from_http(headers, body), Event)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["specversion", "id", "source", "type", "data", "data_base64", "x"]), documents))
def test_any_structured_document_is_an_event_or_poison(document: dict[str, Any]) -> None:
    with suppress(PoisonEvent):
        assert isinstance(from_http({"content-type": STRUCTURED}, orjson.dumps(document)), Event)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ce-specversion": "1.0"},
        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": "/s", "ce-type": "t", "content-type": "text/xml"},
        {"ce-specversion": "1.0", "ce-id": "%FF", "ce-source": "/s", "ce-type": "t"},
        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": "/s", "ce-type": "t", "ce-Bad_Name": "x"},
    ],
    ids=str,
)
def test_requests_that_are_no_cloudevents_are_poison(headers: dict[str, str]) -> None:
    with pytest.raises(PoisonEvent):
        from_http(headers, b"{}")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"ce-specversion": CARD_NUMBER}, b"{}"),
        ({"ce-specversion": "1.0", f"ce-{CARD_NUMBER}-": "x"}, b"{}"),
        ({"ce-specversion": "1.0", "ce-4111-1111-1111-1111": "x"}, b"{}"),
        ({"content-type": STRUCTURED}, orjson.dumps({"specversion": CARD_NUMBER})),
        ({"content-type": STRUCTURED}, orjson.dumps({"specversion": "1.0", CARD_NUMBER: {}})),
        ({"content-type": STRUCTURED}, CARD_NUMBER.encode() + b"{"),
    ],
)
def test_the_reason_repeats_no_card_number(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(PoisonEvent) as poison:
        from_http(headers, body)
    assert "1111" not in str(poison.value)
