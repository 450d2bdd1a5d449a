"""A short form of `make verify-features`, and proof that its tools find what they look for."""

import functools
from dataclasses import replace

import pytest
from hypothesis import given, note, settings
from hypothesis.strategies import one_of
from redis.asyncio import Redis

from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.online import OnlineFeatures
from tests.support.features.checking import expected, replay, transactions_of
from tests.support.features.indexed import IndexedOracle
from tests.support.features.merchant_streams import Item, hostile_merchant_streams
from tests.support.features.oracle import DAY, MINUTE, Label
from tests.support.features.streams import hostile_streams
from tests.verification import comparison
from tests.verification.verify_features import plan, shortest, size, verify
from tests.verification.worlds import world


def test_no_mismatch_in_thirty_thousand_decisions() -> None:
    assert verify(30_000, seed=1, processes=2) == (30_000, [])


@settings(max_examples=300, deadline=None)
@given(stream=one_of(hostile_streams(most=40), hostile_merchant_streams()))
def test_bookkeeping_by_index_changes_no_answer(stream: list[Item]) -> None:
    note(replay(stream))
    assert expected(stream, oracle=IndexedOracle()) == expected(stream)


@pytest.fixture
def edge_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An online engine whose ten minutes last a millisecond more."""
    wrong = [replace(f, window_ms=10 * MINUTE + 1) if f.name == "txn_count_10m" else f for f in CATALOGUE]
    monkeypatch.setattr(
        comparison, "OnlineFeatures", functools.partial(OnlineFeatures, catalogue=Catalogue(tuple(wrong)))
    )


async def test_a_millisecond_too_much_is_found_and_shrunk_to_two_events(edge_too_long: None, redis: Redis) -> None:
    for number in range(20):
        one = world(1, number, 2_000)
        verdict = await comparison.compare(one, redis)
        if verdict.lines:
            break
    assert all("txn_count_10m" in line for line in verdict.lines)
    pairs = {line.split(":")[0] for line in verdict.lines}
    assert pairs == {"online, oracle", "online, history"}
    first, second = (await shortest(one, verdict.lines[0])).stream
    assert second.event_time_ms - first.event_time_ms == 10 * MINUTE


@pytest.mark.parametrize("events", [1, 1_999, 2_000, 2_001, 250_000])
def test_worlds_add_up_to_the_decisions_asked_for(events: int) -> None:
    tasks = list(plan(events, seed=3))
    assert sum(decisions for _, _, decisions in tasks) == events
    assert all(decisions <= size(number) for _, number, decisions in tasks)
    if events < 10_000:
        assert len(transactions_of(world(*tasks[-1]).stream)) == tasks[-1][2]


def test_worlds_hold_what_they_promise() -> None:
    items = [item for number in range(8) for item in world(5, number, 2_000).stream]
    stream = transactions_of(items)
    assert {item.is_fraud for item in items if isinstance(item, Label)} == {True, False}
    times: dict[str, list[int]] = {}
    for tx in stream:
        times.setdefault(tx.card_id, []).append(tx.event_time_ms)
    apart = {
        later - earlier for of_card in times.values() for later, earlier in zip(of_card[1:], of_card, strict=False)
    }
    for window in (10 * MINUTE, 60 * MINUTE, DAY):
        assert {window - 1, window, window + 1} <= apart
    assert {0, 10**12} <= {tx.amount_minor for tx in stream}
    assert any(tx.city is None for tx in stream)
    assert any("{" in card for card in times)
    assert any("%" in card for card in times)
    assert any(not card.isascii() for card in times)
    assert max(apart) > 31 * DAY
