"""The control group: which would-be declines are let through, and what is said of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from functions.scorer.control import ControlGroup
from shared.bus import topics
from shared.contracts.decision import Decision, record_from_event
from tests.support.metrics import Change
from tests.support.transactions import transaction

RISKY = {"amount": "1000.00", "merchant_category": "gambling"}


def drawn(share: float, count: int) -> list[int]:
    group = ControlGroup(share)
    return [number for number in range(count) if group.has(transaction(transaction_id=f"tx-{number}"))]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_share_is_honoured(share: float) -> None:
    count = 20_000
    assert abs(len(drawn(share, count)) - share * count) <= 4 * math.sqrt(count * share * (1 - share))


def test_nobody_or_everybody_at_the_ends() -> None:
    assert drawn(0.0, 500) == []
    assert len(drawn(1.0, 500)) == 500


def test_a_larger_share_keeps_whom_a_smaller_one_has_drawn() -> None:
    assert set(drawn(0.1, 2_000)) < set(drawn(0.3, 2_000))


def test_ids_are_unique_per_card_and_so_are_the_draws() -> None:
    group = ControlGroup(0.5)
    draws = {group.has(transaction(card_id=f"card-{number}")) for number in range(50)}
    assert draws == {False, True}


class TestDecisions:
    async def test_off_by_default(self, bench: Any) -> None:
        answer = (await bench.score(**RISKY)).json()
        assert answer["decision"] == "decline"
        assert "control" not in answer
        [event] = bench.events(topics.DECISIONS)
        record = record_from_event(event.data)
        assert (record.control, record.propensity) == (False, None)

    async def test_lets_would_be_declines_through_and_says_so(self, make_bench: Any) -> None:
        bench = make_bench(fraud_control_share=1.0)
        counted = Change()
        answer = await bench.score(**RISKY)
        decision = Decision.model_validate_json(answer.body)
        assert (decision.decision, decision.control, decision.reasons) == ("approve", True, [])
        [event] = bench.events(topics.DECISIONS)
        record = record_from_event(event.data)
        assert (record.decision, record.control, record.propensity) == ("approve", True, 1.0)
        assert counted.of("fraud_control_total") == 1

    async def test_the_same_for_a_retry_and_another_replica(self, make_bench: Any) -> None:
        bodies = []
        for bench in (make_bench(fraud_control_share=0.5), make_bench(fraud_control_share=0.5)):
            for number in range(30):
                first, again = [(await bench.score(transaction_id=f"tx-{number}", **RISKY)).body for _ in range(2)]
                assert first == again
                bodies.append(first)
        assert bodies[:30] == bodies[30:]
        assert 0 < sum(b'"control":true' in body for body in bodies[:30]) < 30

    async def test_answers_other_transactions_as_if_it_were_off(self, make_bench: Any) -> None:
        on, off = make_bench(fraud_control_share=1.0), make_bench()
        for changes in ({}, {"amount": "1000.00"}):
            assert (await on.score(**changes)).body == (await off.score(**changes)).body
        records = [record_from_event(event.data) for event in on.events(topics.DECISIONS)]
        assert [(record.control, record.propensity) for record in records] == [(False, None)] * 2

    async def test_says_the_chance_of_those_that_were_declined_too(self, make_bench: Any) -> None:
        bench = make_bench(fraud_control_share=1e-9)
        await bench.score(**RISKY)
        [event] = bench.events(topics.DECISIONS)
        record = record_from_event(event.data)
        assert (record.decision, record.control, record.propensity) == ("decline", False, 1e-9)
