"""From events to rows."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

from functions.archiver.rows import Place, known_features, to_row
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.features.catalogue import CATALOGUE
from shared.lake.schema import KEY, TABLES, TableName, event_key, feature_fields
from tests.support.decisions import document, features
from tests.support.transactions import CARD_NUMBER, wire

PLACE = Place(3, 17, 1_768_480_300_000)
TYPES = known_features(None)


def row(name: TableName, type_: str, data: Any, place: Place = PLACE) -> dict[str, Any]:
    return to_row(name, Event("e", "/t", type_, orjson.dumps(data)), place, TYPES)


def transaction(**changes: Any) -> dict[str, Any]:
    return row("transactions", cloudevents.TRANSACTION, wire(**changes))


def decision(**changes: Any) -> dict[str, Any]:
    return row("decisions", cloudevents.DECISION, document(**changes))


def test_rows_fit_their_tables() -> None:
    for name, made in (("transactions", transaction()), ("decisions", decision())):
        schema = pa.schema([*TABLES[name].schema, *(feature_fields() if name == "decisions" else [])])  # type: ignore[index]
        assert pa.Table.from_pylist([made], schema=schema).to_pylist() == [made]


def test_copies_have_one_key_and_other_content_another() -> None:
    assert transaction()[KEY] == transaction()[KEY]
    other_place = row("transactions", cloudevents.TRANSACTION, wire(), Place(1, 2, PLACE.time_ms + 5))
    assert other_place[KEY] == transaction()[KEY]
    changes = [{"amount": "1.00"}, {"city": None}, {"city": "None"}, {"card_id": "c2"}, {"transaction_id": "t2"}]
    keys = {transaction(**change)[KEY] for change in [{}, *changes]}
    assert len(keys) == 6


def test_a_decision_is_known_by_its_id_and_card() -> None:
    retried = decision(decided_at="2026-01-15T12:31:00Z", values=features(txn_count_24h=3))
    assert retried[KEY] == decision()[KEY]
    assert decision(model="2")[KEY] != decision()[KEY]


def test_the_control_group_is_kept_apart() -> None:
    assert [decision(control=True, propensity=0.05)[name] for name in ("control", "propensity")] == [True, 0.05]
    assert [decision()[name] for name in ("control", "propensity")] == [False, None]


def test_a_cut_vector_stays_marked() -> None:
    assert decision(features_cut=True)["features_cut"] is True
    assert decision()["features_cut"] is False


def test_values_that_look_alike_have_different_keys() -> None:
    assert len({event_key(values) for values in ([1, 2], ["1", 2], [12], ["1", "2"], [None, 2], [True, 2])}) == 6


def test_features_keep_their_types() -> None:
    made = decision(values={"txn_count_24h": 3, "avg_amount_24h": 5, "distinct_cities_1h": None, "unheard_of": 2})
    values = {name: made[name] for name in made if name.startswith("f_")}
    assert values == {
        "f_txn_count_24h": 3,
        "f_avg_amount_24h": 5.0,
        "f_distinct_cities_1h": None,
        "f_unheard_of": 2.0,
    }
    assert [type(value) for value in values.values()] == [int, float, type(None), float]
    table = pa.schema([pa.field("f_unheard_of", pa.int64())])
    assert known_features(table)["f_unheard_of"] == pa.int64()
    assert len(known_features(None)) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("name", "type_", "data", "reason"),
    [
        ("transactions", cloudevents.LABEL, wire(), "expected an event of type dev.fraud.transaction.v1"),
        ("transactions", cloudevents.TRANSACTION, wire(amount="-1"), "amount"),
        ("transactions", cloudevents.TRANSACTION, wire(timestamp="2199-01-01T00:00:00Z"), "too far ahead"),
        ("decisions", cloudevents.DECISION, {}, "decision_id: is required"),
        ("decisions", cloudevents.DECISION, document(values={"txn_count_24h": 0.5}), "is not a whole number"),
        ("decisions", cloudevents.DECISION, document(values={"Robert'); DROP": 1}), "a name is not"),
        ("decisions", cloudevents.DECISION, document(values={f"f{n}": 1 for n in range(501)}), "more than 500"),
        ("shadows", cloudevents.SHADOW, {"decision_id": "d"}, "is required"),
        ("labels", cloudevents.LABEL, {"is_fraud": "maybe"}, "is_fraud"),
    ],
)
def test_what_is_no_event_of_the_table_is_refused(name: TableName, type_: str, data: Any, reason: str) -> None:
    with pytest.raises(PoisonEvent, match=reason):
        row(name, type_, data)


def test_a_refusal_never_shows_a_card_number() -> None:
    with pytest.raises(PoisonEvent) as refused:
        transaction(card_id=CARD_NUMBER)
    assert CARD_NUMBER not in str(refused.value)
