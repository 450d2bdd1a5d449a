from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from shared.contracts import problems
from shared.contracts.transaction import Transaction
from tests.support.transactions import CARD_NUMBER, body


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    document = orjson.loads(problems.problem(503, "no model is available yet").body())
    assert document == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "no model is available yet",
        "errors": [],
    }


def test_a_validation_error_names_every_wrong_field_once() -> None:
    with pytest.raises(ValidationError) as failure:
        Transaction.from_wire(body(amount="x", timestamp=None, country="Portugal"))
    problem = problems.from_validation(failure.value)
    assert problem.status == 422
    assert {error.field for error in problem.errors} == {"amount", "timestamp", "country"}
    assert all(error.detail in problem.detail for error in problem.errors)


def test_the_path_may_lie_in_a_larger_document() -> None:
    with pytest.raises(ValidationError) as failure:
        Transaction.from_wire(body(amount="x"))
    problem = problems.from_validation(failure.value, at=("transactions", 3))
    assert problem.errors[0].field == "transactions.3.amount"


def test_many_errors_and_long_names_are_cut() -> None:
    with pytest.raises(ValidationError) as failure:
        Transaction.from_wire(body(**{f"{number}{'x' * 1000}": 1 for number in range(500)}))
    document = problems.from_validation(failure.value).body()
    assert len(orjson.loads(document)["errors"]) == 20
    assert len(document) < 16_000


@pytest.mark.parametrize("written", [CARD_NUMBER, "4111-1111-1111-1111", "4111 1111 1111 1111"])
def test_card_numbers_are_masked_in_detail_and_field(written: str) -> None:
    error = problems.field_error(f"body.{written}", "is not a known field")
    document = problems.problem(422, f"{written} is not a known field", [error]).body()
    assert b"1111" not in document
    assert document.count(b"[card number]") == 2
