from __future__ import annotations

import json
from uuid import RFC_4122, UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.decision import decision_id, record_from_event
from tests.support.transactions import wire

times = st.integers(0, 2**48 - 1)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


class TestDecisionId:
    @settings(deadline=None)
    @given(times, texts, texts, texts)
    def test_is_a_uuid_of_version_8_that_begins_with_the_time(
        self, milliseconds: int, transaction: str, model: str, policy: str
    ) -> None:
        written = decision_id(milliseconds, transaction, model, policy)
        value = UUID(written)
        assert str(value) == written
        assert value.version == 8
        assert value.variant == RFC_4122
        assert value.int >> 80 == milliseconds

    def test_never_changes(self) -> None:
        # In Kafka and the lake it names decisions made years ago: another algorithm would break their receipts.
        assert decision_id(1_768_480_245_250, "tx-1", "7", "abc") == "019bc1a3-0602-84aa-bdc0-2e87d71b2b0e"

    @settings(deadline=None)
    @given(times, texts, texts, texts, texts)
    def test_depends_on_every_part(
        self, milliseconds: int, transaction: str, model: str, policy: str, other: str
    ) -> None:
        parts = (milliseconds, transaction, model, policy)
        identity = decision_id(*parts)
        assert decision_id(*parts) == identity
        assert decision_id(milliseconds ^ 1, *parts[1:]) != identity
        for place in (1, 2, 3):
            changed = [*parts]
            changed[place] = f"{parts[place]}{other}"
            assert decision_id(*changed) != identity  # type: ignore[arg-type]

    def test_keeps_neighbouring_parts_apart(self) -> None:
        ids = {decision_id(0, *parts) for parts in (("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"))}
        assert len(ids) == 3


RECORD = {
    "transaction_id": "tx-1",
    "decision": "review",
    "score": 0.61,
    "reasons": [{"feature": "amount", "text": "The amount is 1.00.", "contribution": 1.2}],
    "model_version": "7",
    "policy_version": "abc",
    "as_of": "2026-01-15T12:30:45.250Z",
    "degraded": False,
    "decision_id": "019bc1b2-5ec2-8cf3-af03-f6c4a35a5a12",
    "transaction": wire(),
    "features": {"amount": 4990, "txn_count_10m": None, "amount_zscore": 0.5},
    "feature_status": "new",
    "catalogue_version": "0123456789abcdef",
    "decided_at": "2026-01-15T12:30:45.260Z",
}


class TestRecord:
    def test_is_read_from_bytes_and_documents_alike(self) -> None:
        record = record_from_event(orjson.dumps(RECORD))
        assert record == record_from_event(RECORD)
        assert record.features == RECORD["features"]
        assert record.transaction.amount_minor == 4990

    def test_ignores_fields_of_later_versions(self) -> None:
        later = {**RECORD, "receipt": "x", "transaction": wire(loyalty_number="7")}
        assert record_from_event(orjson.dumps(later)) == record_from_event(RECORD)

    @pytest.mark.parametrize(
        "change",
        [
            {"decision": "maybe"},
            {"score": 1.01},
            {"score": -0.1},
            {"features": None},
            {"features": {"amount": "many"}},
            {"features": {"amount": [1]}},
            {"features": {"amount": 10**400}},
            {"features": {"amount": float("nan")}},
            {"feature_status": "unknown"},
            {"as_of": "2026-01-15T12:30:45"},
            {"transaction": {}},
            {"transaction": wire(card_id="4111111111111111")},
        ],
        ids=str,
    )
    def test_refuses_what_no_scorer_writes(self, change: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            # orjson writes neither integers of 400 digits nor NaN
            record_from_event(json.dumps({**RECORD, **change}).encode())
