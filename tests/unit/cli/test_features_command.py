"""`fraud features` prints what the catalogue says."""

from __future__ import annotations

import json

import pytest

from shared.cli.features import command, reference
from shared.features.catalogue import CATALOGUE


def test_the_table_names_every_feature(capsys: pytest.CaptureFixture[str]) -> None:
    command()
    shown = capsys.readouterr().out
    lines = [line.split(maxsplit=1)[0] for line in shown.splitlines() if line and not line.startswith(" ")]
    assert [line for line in lines if line in CATALOGUE.names] == list(CATALOGUE.names)
    assert f"catalogue {CATALOGUE.version}" in shown


def test_json_has_meaning_window_unit_and_null_rule_of_every_feature(capsys: pytest.CaptureFixture[str]) -> None:
    command(as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document == reference(CATALOGUE)
    by_name = {one["name"]: one for one in document["features"]}
    assert list(by_name) == list(CATALOGUE.names)
    assert by_name["txn_count_1h"] == {
        "name": "txn_count_1h",
        "meaning": "The card's transactions in the last hour, this one included.",
        "window": "1 hour",
        "unit": "transactions",
        "null_when": None,
        "entity": "card",
        "kind": "count",
    }
    assert by_name["amount"]["window"] is None
    assert by_name["merchant_risk_7d"]["window"] == "7 whole UTC days until 8 days before"
    assert by_name["merchant_risk_7d"]["null_when"] == "the merchant is unknown or had no transaction on those days"
