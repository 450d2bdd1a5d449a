from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts import money, problems
from shared.contracts.card_numbers import contains_card_number, is_card_number
from shared.contracts.transaction import Transaction
from tests.support.transactions import CARD_NUMBER, body, transaction, wire


def refused(document: bytes) -> problems.Problem:
    """The problem a document gets as a request."""
    with pytest.raises(ValidationError) as failure:
        Transaction.from_wire(document)
    return problems.from_validation(failure.value)


def fields_of(document: bytes) -> list[str]:
    return [error.field for error in refused(document).errors]


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "currency", "minor"),
        [
            ("12.34", "EUR", 1234),
            ("12.3", "EUR", 1230),
            ("12", "EUR", 1200),
            ("12.340", "EUR", 1234),
            ("0", "EUR", 0),
            ("0.01", "USD", 1),
            (".5", "USD", 50),
            ("+1.", "USD", 100),
            (12.34, "EUR", 1234),
            (0.1, "EUR", 10),
            (1.1, "EUR", 110),
            (7, "EUR", 700),
            ("1999", "JPY", 1999),
            ("1999.0", "JPY", 1999),
            ("1.234", "KWD", 1234),
            ("10000000000.00", "EUR", money.MAX_AMOUNT_MINOR),
            ("1000000000000", "JPY", money.MAX_AMOUNT_MINOR),
        ],
    )
    def test_are_exact_minor_units(self, amount: Any, currency: str, minor: int) -> None:
        assert transaction(amount=amount, currency=currency).amount_minor == minor

    @pytest.mark.parametrize(
        ("amount", "currency"),
        [
            ("12.345", "EUR"),
            ("0.001", "EUR"),
            ("1.5", "JPY"),
            ("1.2345", "KWD"),
            ("-0.01", "EUR"),
            (-1, "EUR"),
            ("10000000000.01", "EUR"),
            ("1000000000001", "JPY"),
            ("", "EUR"),
            (" ", "EUR"),
            (" 1.00", "EUR"),
            ("1,00", "EUR"),
            ("1_000", "EUR"),
            ("1e3", "EUR"),
            ("0e999999999", "EUR"),
            ("0x10", "EUR"),
            ("\uff11\uff12", "EUR"),
            ("NaN", "EUR"),
            ("sNaN", "EUR"),
            ("Infinity", "EUR"),
            ("12.34 EUR", "EUR"),
            (True, "EUR"),
            ([], "EUR"),
            ({}, "EUR"),
            ("9" * 5_000, "EUR"),
        ],
    )
    def test_that_are_no_amounts_are_refused_by_name(self, amount: Any, currency: str) -> None:
        assert fields_of(body(amount=amount, currency=currency)) == ["amount"]

    @pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"null"])
    def test_that_are_no_finite_numbers_are_refused(self, literal: bytes) -> None:
        assert fields_of(body().replace(b'"49.90"', literal)) == ["amount"]

    @pytest.mark.parametrize("currency", ["eur", "EURO", "XXX", "", "€"])
    def test_of_unknown_currencies_are_refused(self, currency: str) -> None:
        assert fields_of(body(currency=currency)) == ["currency"]

    @settings(deadline=None)
    @given(st.integers(0, money.MAX_AMOUNT_MINOR), st.sampled_from(["EUR", "JPY", "BHD"]))
    def test_come_back_from_their_written_form(self, minor: int, currency: str) -> None:
        assert money.to_minor_units(Decimal(money.to_major_units(minor, currency)), currency) == minor


class TestTimestamps:
    @pytest.mark.parametrize(
        ("written", "milliseconds"),
        [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("2026-01-15T12:30:45.250Z", 1_768_480_245_250),
            ("2026-01-15T13:30:45.250+01:00", 1_768_480_245_250),
            ("2026-01-15T12:30:45.2509Z", 1_768_480_245_250),
            ("2026-01-15t12:30:45.250z", 1_768_480_245_250),
        ],
    )
    def test_are_utc_milliseconds(self, written: str, milliseconds: int) -> None:
        assert transaction(timestamp=written).event_time_ms == milliseconds

    @pytest.mark.parametrize(
        "timestamp",
        [
            "2026-01-15T12:30:45",
            "2026-01-15",
            "12:30:45Z",
            "1768480245",
            1_768_480_245,
            1_768_480_245.25,
            True,
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "1969-12-31T23:59:59.999Z",
            [],
            {},
        ],
    )
    def test_without_zone_or_sense_are_refused_by_name(self, timestamp: Any) -> None:
        assert fields_of(body(timestamp=timestamp)) == ["timestamp"]


class TestTexts:
    @pytest.mark.parametrize("field", ["transaction_id", "card_id", "merchant_id", "merchant_category", "city"])
    @pytest.mark.parametrize(
        "value", ["", "x" * 129, "日" * 86, "a\nb", "a\0b", "\x7f", 7, [], {}, True], ids=lambda value: repr(value)[:12]
    )
    def test_must_be_short_and_printable(self, field: str, value: Any) -> None:
        assert fields_of(body(**{field: value})) == [field]

    @pytest.mark.parametrize("value", ["x" * 128, "東京", "São Paulo", "🦊" * 63, "O'Hare {B}", "عمان"])
    def test_of_any_script_are_taken(self, value: str) -> None:
        assert transaction(city=value).to_wire()["city"] == value

    @pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "a\\ud83db"])
    def test_with_lone_surrogates_are_refused(self, escape: str) -> None:
        assert refused(body().replace(b"Lisbon", escape.encode())).status == 422

    @pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b'{"card_id":"\xff"}', b"\0" * 1000, b"[" * 10_000, b"7"])
    def test_that_are_no_json_object_are_refused(self, junk: bytes) -> None:
        assert refused(junk).status == 422

    @pytest.mark.parametrize(
        ("field", "value"),
        [("country", "pt"), ("country", "PRT"), ("channel", "carrier pigeon"), ("latitude", 90.1), ("longitude", -181)],
    )
    def test_outside_their_list_or_range_are_refused(self, field: str, value: Any) -> None:
        assert fields_of(body(**{field: value})) == [field]

    @pytest.mark.parametrize("field", ["latitude", "longitude"])
    def test_places_must_be_finite(self, field: str) -> None:
        document = body(**{field: 12.5}).replace(b"12.5", b"NaN")
        assert fields_of(document) == [field]


class TestUnknownFields:
    def test_are_refused_in_requests(self) -> None:
        problem = refused(body(merchant_name="Shop"))
        assert [(error.field, error.detail) for error in problem.errors] == [("merchant_name", "is not a known field")]

    def test_are_ignored_in_events(self) -> None:
        assert Transaction.from_event(body(merchant_name="Shop")) == transaction()
        assert Transaction.from_event(wire(merchant_name="Shop")) == transaction()

    @pytest.mark.parametrize("missing", ["transaction_id", "card_id", "amount", "currency", "merchant_id", "timestamp"])
    def test_and_missing_ones_are_told_apart(self, missing: str) -> None:
        problem = refused(body(**{missing: None}))
        assert [(error.field, error.detail) for error in problem.errors] == [(missing, "is required")]


NUMBERS = [
    CARD_NUMBER,
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
    "4222222222222",
    "2223003122003222",
    "4000000000000000006",
]


def grouped(number: str, separator: str) -> str:
    """In the groups that are printed on the card."""
    if len(number) in (14, 15):
        return separator.join((number[:4], number[4:10], number[10:]))
    return separator.join(number[place : place + 4] for place in range(0, len(number), 4))


WRITTEN = [
    text
    for number in NUMBERS
    for text in (
        number,
        f"token {number}",
        f"{number};exp=12/28",
        f"x{number}x",
        grouped(number, " "),
        f"ref {grouped(number, '-')} ok",
    )
]


class TestCardNumbers:
    @pytest.mark.parametrize("value", WRITTEN)
    @pytest.mark.parametrize(
        "field",
        ["transaction_id", "card_id", "merchant_id", "merchant_category", "city", "country", "channel", "currency"],
    )
    def test_are_refused_in_every_text_and_never_repeated(self, value: str, field: str) -> None:
        problem = refused(body(**{field: value}))
        assert [error.field for error in problem.errors] == [field]
        assert not any(group.encode() in problem.body() for group in re.findall(r"\d{4,}", value))

    @pytest.mark.parametrize("field", ["amount", "latitude", "longitude", "timestamp"])
    @pytest.mark.parametrize("value", [CARD_NUMBER, int(CARD_NUMBER), grouped(CARD_NUMBER, " ")])
    def test_are_refused_and_never_repeated_in_other_fields(self, field: str, value: Any) -> None:
        problem = refused(body(**{field: value}))
        assert [error.field for error in problem.errors] == [field]
        assert str(value).encode() not in problem.body()

    @pytest.mark.parametrize("name", [CARD_NUMBER, grouped(CARD_NUMBER, "-"), f"pan_{CARD_NUMBER}"])
    def test_are_masked_in_names_of_unknown_fields(self, name: str) -> None:
        problem = refused(body(**{name: "x"}))
        assert name.encode() not in problem.body()
        assert "[card number]" in problem.errors[0].field
        assert problem.errors[0].detail == "is not a known field"

    @pytest.mark.parametrize("value", ["x" * 186 + CARD_NUMBER, "x" * 195 + CARD_NUMBER])
    def test_are_masked_before_a_long_name_is_cut(self, value: str) -> None:
        assert CARD_NUMBER[:5].encode() not in refused(body(**{value: "x"})).body()

    @pytest.mark.parametrize("card_id", ["1234567890128", "4111 1111-1111 1111", "0000000000000"])
    def test_of_no_known_issuer_are_refused_as_card_ids(self, card_id: str) -> None:
        assert fields_of(body(card_id=card_id)) == ["card_id"]

    @pytest.mark.parametrize(
        "value",
        [
            "4111111111111112",  # fails Luhn
            "1768480245250",  # milliseconds
            "1234567890128",  # passes Luhn, begins as no card does
            "41111111111111114111",  # too long
            "411111111111",  # too short
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "64111111-1111-4111-8111-411111111111",  # the card number of a UUID is none
        ],
    )
    def test_are_told_from_other_long_numbers(self, value: str) -> None:
        assert transaction(transaction_id=value).transaction_id == value

    @settings(deadline=None)
    @given(st.text("0123456789", min_size=12, max_size=18))
    def test_are_recognised_by_luhn(self, payload: str) -> None:
        ends = [last for last in "0123456789" if is_card_number(payload + last)]
        assert len(ends) == 1
        begins_as_cards_do = payload[0] in "3456"
        if begins_as_cards_do:
            assert contains_card_number(f"ref {payload}{ends[0]}.")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(
    lambda text: not contains_card_number(text) and not is_card_number(text)
)
moments = st.builds(
    lambda milliseconds, minutes: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).astimezone(
        timezone(timedelta(minutes=minutes))
    ),
    st.integers(86_400_000, 253_000_000_000_000),
    st.integers(-1439, 1439),
)


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    currency = draw(st.sampled_from(["EUR", "JPY", "TND", "USD"]))
    optional: dict[str, Any] = {
        "merchant_category": draw(st.none() | texts),
        "city": draw(st.none() | texts),
        "country": draw(st.none() | st.from_regex(r"\A[A-Z]{2}\Z")),
        "latitude": draw(st.none() | st.floats(-90, 90)),
        "longitude": draw(st.none() | st.floats(-180, 180)),
        "channel": draw(st.none() | st.sampled_from(["pos", "contactless", "ecommerce", "atm", "moto"])),
    }
    return Transaction(
        transaction_id=draw(texts),
        card_id=draw(texts),
        currency=currency,
        amount=Decimal(money.to_major_units(draw(st.integers(0, money.MAX_AMOUNT_MINOR)), currency)),
        merchant_id=draw(texts),
        timestamp=draw(moments),
        **optional,
    )


@settings(deadline=None)
@given(transactions())
def test_the_wire_form_comes_back_the_same(one: Transaction) -> None:
    again = Transaction.from_wire(orjson.dumps(one.to_wire()))
    assert again.to_wire() == one.to_wire()
    assert (again.amount_minor, again.event_time_ms) == (one.amount_minor, one.event_time_ms)
    assert Transaction.from_event(one.to_wire()) == again


def test_the_wire_form_leaves_absent_fields_out() -> None:
    absent = dict.fromkeys(("merchant_category", "city", "country", "latitude", "longitude", "channel"))
    assert transaction(**absent, amount=5, currency="JPY").to_wire() == {
        "transaction_id": "tx-1",
        "card_id": "card-1",
        "amount": "5",
        "currency": "JPY",
        "merchant_id": "m-1",
        "timestamp": "2026-01-15T12:30:45.250Z",
    }


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*wire(), "x"]), inner),
        max_leaves=15,
    )
    | st.fixed_dictionaries({}, optional={name: st.integers() | st.floats() | st.text() for name in wire()})
)
def test_any_document_is_read_or_refused_as_invalid(document: Any) -> None:
    try:
        data = orjson.dumps(document)
    except TypeError:  # lone surrogates, integers beyond 64 bits: no JSON that this writer writes
        return
    for read in (Transaction.from_wire, Transaction.from_event):
        with suppress(ValidationError):
            read(data).to_wire()
