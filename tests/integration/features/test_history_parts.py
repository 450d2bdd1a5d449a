"""A history that is worked through in parts of the cards gives what it gives as a whole, and tells how far it is."""

import pytest

from shared.features.history import HistoryFeatures, engine
from tests.support.features.checking import history_tables
from tests.support.features.streams import random_stream


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    table, _ = history_tables(random_stream(7, 700, [f"card{k}" for k in range(9)]))
    whole = HistoryFeatures(threads=1).table(table)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(engine, "_ROWS_PER_PART", 150)
    parts = HistoryFeatures(threads=2, progress=lambda done, total: told.append((done, total))).table(table)
    assert parts.equals(whole)
    assert told == [(140, 700), (280, 700), (420, 700), (560, 700), (700, 700)]
