"""How long a challenger is left to its shadow evidence."""

from __future__ import annotations

import pytest

from functions.train.learn import being_weighed
from functions.train.rows import DAY_MS
from shared.contracts.event_time import to_rfc3339
from shared.registry.client import ModelVersion

CUT_MS = 1_768_435_200_000  # 2026-01-15
KNOWN = {"dataset_cut": to_rfc3339(CUT_MS)}


def challenger(tags: dict[str, str]) -> ModelVersion:
    return ModelVersion("fraud", "4", "run", CUT_MS, ("challenger",), tags)


@pytest.mark.parametrize(("days_later", "kept"), [(0, True), (1, True), (20.99, True), (21, False), (40, False)])
def test_a_challenger_has_its_time(days_later: float, kept: bool) -> None:
    said = being_weighed(challenger(KNOWN), CUT_MS + int(days_later * DAY_MS), 21)
    assert bool(said) is kept
    if kept:
        assert said.startswith("challenger 4 is left to its shadow evidence until 21 days after 2026-01-15")


def test_a_cut_before_its_own_says_nothing_of_its_time() -> None:
    assert being_weighed(challenger(KNOWN), CUT_MS - DAY_MS, 21) == ""


def test_without_a_challenger_or_its_cut_there_is_nothing_to_wait_for() -> None:
    assert being_weighed(None, CUT_MS, 21) == ""
    assert being_weighed(challenger({}), CUT_MS, 21) == ""
