"""The traffic of the lifecycle demo: whole days, possible labels, counts by day."""

from __future__ import annotations

import yaml

from functions.producer.switch import Answer, StandIn
from shared.simulation.config import DAY_MS
from shared.simulation.stream import Delivery, Kind
from tests.e2e.lifecycle.plan import NEW_PATTERN, Plan
from tests.e2e.lifecycle.stage import without_schedules
from tests.e2e.lifecycle.traffic import DailyTraffic, DayTally, EvenPace

START = 20_000 * DAY_MS
PLAN = Plan(START, days=4, onset=2, per_day=500)


def days(traffic: DailyTraffic, count: int) -> list[list[Delivery]]:
    return [traffic._next_day() for _ in range(count)]


def fraud(day: int, transaction_id: str = "t", pattern: str | None = NEW_PATTERN) -> Delivery:
    return Delivery(START + day * DAY_MS, Kind.TRANSACTION, {"transaction_id": transaction_id}, False, pattern)


def test_days_follow_one_another_without_a_gap() -> None:
    sent = days(DailyTraffic(PLAN, "unused:1", "http://unused"), 4)
    for number, deliveries in enumerate(sent):
        assert {(one.due_ms - START) // DAY_MS for one in deliveries} == {number}
        assert [one.due_ms for one in deliveries] == sorted(one.due_ms for one in deliveries)
    ids = [one.document["transaction_id"] for day in sent for one in day if one.kind is Kind.TRANSACTION]
    assert len(ids) == len(set(ids))
    assert 1_700 < len(ids) < 2_300


def test_the_new_pattern_begins_on_its_day_and_never_without_one() -> None:
    def seen(plan: Plan) -> set[int]:
        sent = days(DailyTraffic(plan, "unused:1", "http://unused"), 4)
        return {day for day, deliveries in enumerate(sent) for one in deliveries if one.pattern == NEW_PATTERN}

    assert seen(Plan(START, days=4, onset=2)) == {2, 3}
    assert seen(Plan(START, days=4, onset=None)) == set()


def test_a_declined_transaction_gets_no_label() -> None:
    traffic = DailyTraffic(PLAN, "unused:1", "http://unused")
    labels = [Delivery(START, Kind.LABEL, {"transaction_id": name}, False, NEW_PATTERN) for name in ("t1", "t2")]
    traffic.tally.answered(fraud(0, "t1"), Answer("decline", None), 0.0)
    [batch] = traffic._with_possible_labels(labels)
    assert [one.document["transaction_id"] for one in batch] == ["t2"]


def test_recall_counts_alerts_and_the_control_group_by_day() -> None:
    tally = DayTally(START)
    for day, answer in (
        (0, Answer("approve", None)),
        (1, Answer("review", None)),
        (1, Answer("approve", None, control=True)),
        (1, Answer(None, StandIn.TIMEOUT)),
        (2, Answer("approve", None)),
    ):
        tally.answered(fraud(day), answer, 0.0)
    assert tally.recall(NEW_PATTERN, 0, 1) == 0.0
    assert tally.recall(NEW_PATTERN, 1, 2) == 1.0
    assert tally.recall(NEW_PATTERN, 0, 3) == 0.5
    assert tally.recall(NEW_PATTERN, 3, 9) is None
    assert tally.control == 1


def test_deliveries_go_out_at_one_pace() -> None:
    pace = EvenPace(100, 50.0, 1.0, (100, 100, 900, 90_000), 2.0)
    assert [pace.intended(due) for due in (100, 900, 90_000)] == [50.0, 51.0, 51.5]


def test_no_schedule_of_the_wall_clock_is_left(tmp_path) -> None:
    copied = without_schedules(tmp_path / "manifests")
    kinds = {one["kind"] for path in copied.glob("*.yaml") for one in yaml.safe_load_all(path.read_text())}
    assert "PingSource" not in kinds
    assert {"Service", "KafkaSource"} <= kinds
