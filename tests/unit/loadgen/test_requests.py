import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.event_time import now_milliseconds
from shared.contracts.transaction import Transaction
from shared.loadgen.connection import Target
from shared.loadgen.requests import TransactionRequests, fixed_request
from shared.loadgen.traffic import simulated_transactions

TARGET = Target.parse("http://127.0.0.1:8000/v1/score?details=true")
EXAMPLE = Transaction.model_validate(
    {
        "transaction_id": "a",
        "card_id": "card-1",
        "amount": "12.30",
        "currency": "EUR",
        "merchant_id": "m-1",
        "city": "Köln ######",
        "timestamp": "2020-01-01T00:00:00Z",
    }
)


def split(request: bytes) -> tuple[list[bytes], bytes]:
    head, body = request.split(b"\r\n\r\n", 1)
    return head.split(b"\r\n"), body


def test_head_is_the_target_and_the_length_of_the_body() -> None:
    lines, body = split(TransactionRequests(TARGET, [EXAMPLE])())
    assert lines[0] == b"POST /v1/score?details=true HTTP/1.1"
    assert b"Host: 127.0.0.1:8000" in lines
    assert b"Content-Length: %d" % len(body) in lines


def test_body_is_the_transaction_with_an_id_of_its_own_and_the_present() -> None:
    before = now_milliseconds()
    sent = Transaction.from_wire(split(TransactionRequests(TARGET, [EXAMPLE])())[1])
    assert before <= sent.event_time_ms <= now_milliseconds()
    own = {"transaction_id", "timestamp"}
    assert sent.model_dump(exclude=own) == EXAMPLE.model_dump(exclude=own)


def test_ids_are_unique_within_and_across_runs() -> None:
    runs = [TransactionRequests(TARGET, [EXAMPLE]) for _ in range(3)]
    ids = [Transaction.from_wire(split(run())[1]).transaction_id for run in runs for _ in range(100)]
    assert len(set(ids)) == 300


def test_simulated_transactions_are_valid_when_sent_and_of_many_cards() -> None:
    transactions = simulated_transactions(500, seed=5)
    source = TransactionRequests(TARGET, transactions)
    sent = [Transaction.from_wire(split(request)[1]) for request in itertools.islice(iter(source, None), 500)]
    assert [one.card_id for one in sent] == [one.card_id for one in transactions]
    assert [one.amount_minor for one in sent] == [one.amount_minor for one in transactions]
    assert len({one.card_id for one in sent}) > 20


def test_without_transactions_there_is_nothing_to_send() -> None:
    with pytest.raises(ValueError, match="no transactions"):
        TransactionRequests(TARGET, [])


def test_fixed_request_without_body_is_a_get() -> None:
    assert fixed_request(TARGET)().startswith(b"GET /v1/score?details=true HTTP/1.1\r\nHost: ")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", Target("a", 80, "/", tls=False)),
        ("https://a/x", Target("a", 443, "/x", tls=True)),
        ("http://[::1]:9/x?y=1", Target("::1", 9, "/x?y=1", tls=False)),
    ],
)
def test_target_reads_addresses(url: str, expected: Target) -> None:
    assert Target.parse(url) == expected


@pytest.mark.parametrize("url", ["", "a:80", "ftp://a", "http://", "http:///x", "http://a:b"])
def test_target_refuses_what_is_no_http_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"http|port|Port"):
        Target.parse(url)


@given(st.integers(1, 65535))
def test_ipv6_authority_has_brackets(port: int) -> None:
    assert Target.parse(f"http://[::1]:{port}").authority == f"[::1]:{port}"


def test_an_ingress_is_told_the_servers_name() -> None:
    target = replace(Target.parse("http://127.0.0.1:31080/v1/score"), named="scorer.fraud.example.com")
    assert fixed_request(target)() == b"GET /v1/score HTTP/1.1\r\nHost: scorer.fraud.example.com\r\n\r\n"
