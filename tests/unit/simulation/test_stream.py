import time
from itertools import chain, islice

import orjson
import pytest

from shared.contracts.label import Label
from shared.contracts.transaction import Transaction
from shared.simulation import stream
from shared.simulation.config import DAY_MS, SimulationConfig
from shared.simulation.history import generate_history
from shared.simulation.stream import Kind, LiveStream

START_MS = 1_756_684_800_000
DAY_SECONDS = 86_400


def config(**changes):
    return SimulationConfig(**({"start_ms": START_MS, "transactions_per_day": 5_000.0, "seed": 2} | changes))


def delivered(count, **changes):
    return list(chain.from_iterable(LiveStream(config(**changes), count).batches()))


@pytest.fixture(scope="module")
def deliveries():
    return delivered(40_000, label_delay_days=(0.5, 2.0), late_share=0.02, duplicate_share=0.01)


def of_kind(deliveries, kind):
    return [delivery for delivery in deliveries if delivery.kind is kind]


def test_deliveries_come_in_order_of_their_due_time(deliveries):
    due = [delivery.due_ms for delivery in deliveries]

    assert due == sorted(due)


def test_the_asked_number_of_distinct_transactions_is_delivered_each_once_first(deliveries):
    first = [delivery.document["transaction_id"] for delivery in of_kind(deliveries, Kind.TRANSACTION)]

    assert len(first) == len(set(first)) == 40_000


def test_equal_configurations_give_equal_streams_whatever_the_batches(deliveries, monkeypatch):
    monkeypatch.setattr(stream, "LARGEST_BATCH", 7)

    again = delivered(40_000, label_delay_days=(0.5, 2.0), late_share=0.02, duplicate_share=0.01)
    assert again == deliveries


def test_a_shorter_stream_is_the_beginning_of_a_longer_one():
    short = [d.document for d in delivered(3_000, late_share=0.0) if d.kind is Kind.TRANSACTION]
    long = [d.document for d in delivered(9_000, late_share=0.0) if d.kind is Kind.TRANSACTION]

    assert long[:3_000] == short


def test_on_time_transactions_are_due_at_their_event_time_late_ones_after_it(deliveries):
    first = of_kind(deliveries, Kind.TRANSACTION)
    behind = [d.due_ms - Transaction.from_wire(orjson.dumps(d.document)).event_time_ms for d in first]
    late = [milliseconds for d, milliseconds in zip(first, behind, strict=True) if d.late]

    assert {milliseconds for d, milliseconds in zip(first, behind, strict=True) if not d.late} == {0}
    assert len(late) / len(first) == pytest.approx(0.02, rel=0.2)
    assert min(late) > 0
    assert max(late) <= 6 * 3_600_000


def test_duplicates_repeat_a_transaction_after_its_first_delivery(deliveries):
    seen = {}
    for delivery in deliveries:
        if delivery.kind is Kind.TRANSACTION:
            seen[delivery.document["transaction_id"]] = delivery
        elif delivery.kind is Kind.DUPLICATE:
            assert delivery.document == seen[delivery.document["transaction_id"]].document
    assert len(of_kind(deliveries, Kind.DUPLICATE)) / 40_000 == pytest.approx(0.01, rel=0.2)


def test_every_due_label_names_its_fraud_and_comes_within_the_delay(deliveries):
    frauds = {
        delivery.document["transaction_id"]: delivery
        for delivery in of_kind(deliveries, Kind.TRANSACTION)
        if delivery.pattern is not None
    }
    labels = of_kind(deliveries, Kind.LABEL)
    end_ms = deliveries[-1].due_ms

    for delivery in labels:
        label = Label.model_validate(delivery.document)
        fraud = frauds[label.transaction_id]
        delay = (label.label_time - label.event_time).total_seconds()
        assert label.is_fraud
        assert (label.pattern, label.card_id) == (fraud.pattern, fraud.document["card_id"])
        assert label.merchant_id == fraud.document["merchant_id"]
        assert 0.5 * DAY_SECONDS <= delay <= 2.0 * DAY_SECONDS
    assert len({d.document["transaction_id"] for d in labels}) == len(labels)
    overdue = {d.document["transaction_id"] for d in frauds.values() if d.due_ms < end_ms - 2 * DAY_MS}
    assert overdue <= {d.document["transaction_id"] for d in labels}


def test_no_label_comes_before_its_delay():
    deliveries = delivered(2_000)

    assert any(delivery.pattern is not None for delivery in deliveries)
    assert not of_kind(deliveries, Kind.LABEL)  # the shortest delay is two days


def test_however_short_the_delay_a_label_follows_its_transaction():
    known = set()
    labels = 0
    for delivery in delivered(20_000, label_delay_days=(0.0, 0.001), late_share=0.3, fraud_share=0.05):
        identifier = delivery.document["transaction_id"]
        if delivery.kind is Kind.TRANSACTION:
            known.add(identifier)
        elif delivery.kind is Kind.LABEL:
            assert identifier in known
            labels += 1
    assert labels > 500


def test_the_stream_tells_the_same_story_as_the_history():
    history = generate_history(3_000, 1.0, start_ms=START_MS, seed=2)
    per_day = (3_000 * 1.003 + 5 * 3_000**0.5) / 1.0
    live = [d for d in delivered(3_000, transactions_per_day=per_day, late_share=0.0) if d.kind is Kind.TRANSACTION]

    assert [d.document["transaction_id"] for d in live] == history["transaction_id"].tolist()
    assert [d.document["card_id"] for d in live] == history["card_id"].tolist()
    assert [d.pattern for d in live] == history["pattern"].tolist()


def test_runs_that_start_at_other_times_share_people_but_no_transaction_id():
    one, other = delivered(500), delivered(500, start_ms=START_MS + 1)

    assert not {d.document["transaction_id"] for d in one} & {d.document["transaction_id"] for d in other}
    assert {d.document["card_id"] for d in one} & {d.document["card_id"] for d in other}


def test_ten_transactions_per_second_of_288000_cards_start_at_once():
    begin = time.perf_counter()
    first = next(LiveStream(config(transactions_per_day=864_000.0)).batches())

    assert len(first) == stream.LARGEST_BATCH
    assert time.perf_counter() - begin < 5  # 0.6 s on an idle machine


def test_an_endless_stream_keeps_its_pace():
    live = LiveStream(config(transactions_per_day=864_000.0))
    some = list(islice(chain.from_iterable(live.batches()), 20_000))
    seconds = (some[-1].due_ms - START_MS) / 1e3

    assert len(some) / seconds == pytest.approx(10, rel=0.05)
