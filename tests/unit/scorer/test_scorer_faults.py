"""What callers see, and what is counted, when something behind the scorer is away, slow or overrun."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError

from functions.scorer import store_guard
from functions.scorer.health import Health
from shared.bus import topics
from shared.contracts.decision import record_from_event
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE
from tests.support.asgi import call
from tests.support.fakes.models import model
from tests.support.metrics import Change
from tests.support.scoring.small_bundle import RULES, Rule, score_of
from tests.support.transactions import transaction, wire


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.002)


class TestNoModel:
    async def test_answers_come_later_and_readiness_says_so(self, bench: Any) -> None:
        held, bench.models.held = bench.models.held, None
        for answer in (
            await bench.score(),
            await bench.post("/v1/score/batch", orjson.dumps({"transactions": [wire()]})),
            await call(bench.app, "GET", "/health/readiness"),
        ):
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "model" in answer.json()["detail"]
        assert (await call(bench.app, "GET", "/health/liveness")).status == 200
        assert bench.store.calls == 0

        bench.models.held = held
        assert (await bench.score()).status == 200
        assert (await call(bench.app, "GET", "/health/readiness")).status == 200

    def test_readiness_depends_on_the_model_alone(self) -> None:
        assert Health(lambda: True).readiness().status == 200
        assert Health(lambda: False).readiness().status == 503


class TestStoreAway:
    @pytest.mark.parametrize("error", [RedisConnectionError("refused"), BusyLoadingError("loading"), OSError("gone")])
    async def test_decisions_go_on_from_the_request_alone(self, bench: Any, error: Exception) -> None:
        change = Change()
        bench.store.error = error
        answer = await bench.score("?details=true", amount="1000.00")
        assert answer.status == 200
        document = answer.json()
        assert document["degraded"] is True
        assert document["model_version"] == "1-request-only"
        assert document["score"] == pytest.approx(score_of({"amount": 100_000, "is_high_risk_merchant": 0}), abs=1e-6)
        for name in CATALOGUE.names:
            assert (document["features"][name] is not None) == (name in CATALOGUE.request_only)
        assert change.of("fraud_degraded_total", reason="store_error") == 1
        assert change.of("fraud_predictions_total", decision="review", model_version="1-request-only") == 1
        assert change.of("fraud_feature_reads_total", status="unread") == 1

    async def test_the_transaction_is_published_for_the_updater(self, bench: Any) -> None:
        bench.store.error = RedisConnectionError("refused")
        document = (await bench.score()).json()
        [decision] = bench.events(topics.DECISIONS)
        record = record_from_event(decision.data)
        assert (record.degraded, record.feature_status) == (True, "unread")
        assert record.decision_id == document["decision_id"]
        [event] = bench.events(topics.TRANSACTIONS)
        assert Transaction.from_event(event.data) == transaction()
        assert (event.id, event.subject, event.partition_key) == ("tx-1", "tx-1", "card-1")
        assert event.traceparent == decision.traceparent

    async def test_a_degraded_decision_has_an_id_of_its_own(self, bench: Any) -> None:
        bench.store.error = RedisConnectionError("refused")
        degraded = (await bench.score()).json()
        bench.store.error = None
        await asyncio.sleep(store_guard._PAUSE_SECONDS)
        assert (await bench.score()).json()["decision_id"] != degraded["decision_id"]

    async def test_no_answer_in_time_counts_as_away(self, make_bench: Any) -> None:
        change = Change()
        bench = make_bench(fraud_store_timeout_ms=20)
        bench.store.answer_when = asyncio.Event()
        started = time.perf_counter()
        answer = await bench.score()
        assert time.perf_counter() - started < 0.5
        assert answer.json()["degraded"] is True
        assert change.of("fraud_degraded_total", reason="store_timeout") == 1

    async def test_nobody_waits_again_while_it_is_away_and_it_recovers_by_itself(self, make_bench: Any) -> None:
        change = Change()
        bench = make_bench(fraud_store_timeout_ms=20)
        bench.store.answer_when = asyncio.Event()
        await bench.score()
        for number in range(5):
            await bench.score(transaction_id=f"tx-{number}")
        assert bench.store.calls == 1
        assert change.of("fraud_degraded_total", reason="store_away") == 5

        bench.store.answer_when = None
        await asyncio.sleep(store_guard._PAUSE_SECONDS)
        answer = await bench.score()
        assert answer.json()["degraded"] is False
        assert change.total("fraud_degraded_total") == 6


class TestStoreRefuses:
    """One card's key is of a wrong type, say: the store answers, but not for this one."""

    async def test_one_transaction_is_decided_from_itself_and_its_batch_as_ever(self, bench: Any) -> None:
        change = Change()
        bench.store.refused = {"tx-2"}
        answers = await asyncio.gather(
            *[bench.score("?details=true", transaction_id=f"tx-{number}", amount="1000.00") for number in range(4)]
        )
        assert [len(batch) for batch in bench.store.batches] == [4]
        documents = [answer.json() for answer in answers]
        assert [document["degraded"] for document in documents] == [False, False, True, False]
        assert [document["model_version"] for document in documents] == ["1", "1", "1-request-only", "1"]
        assert [document["features"]["txn_count_10m"] for document in documents] == [1, 2, None, 3]
        alone = score_of({"amount": 100_000, "is_high_risk_merchant": 0})
        assert documents[2]["score"] == pytest.approx(alone, abs=1e-6)
        assert change.of("fraud_degraded_total", reason="store_refused") == 1
        assert change.total("fraud_degraded_total") == 1
        assert change.of("fraud_feature_reads_total", status="new") == 3
        assert change.of("fraud_feature_reads_total", status="unread") == 1
        assert change.of("fraud_predictions_total", decision="review", model_version="1-request-only") == 1
        assert change.total("fraud_predictions_total") == 4
        [event] = bench.events(topics.TRANSACTIONS)
        assert event.subject == "tx-2"
        decisions = {event.subject: record_from_event(event.data) for event in bench.events(topics.DECISIONS)}
        assert [decisions[f"tx-{number}"].degraded for number in range(4)] == [False, False, True, False]
        assert decisions["tx-2"].feature_status == "unread"

    async def test_the_store_is_not_left_alone_for_it(self, bench: Any) -> None:
        bench.store.refused = {"bad"}
        assert (await bench.score(transaction_id="bad")).json()["degraded"] is True
        assert (await bench.score(transaction_id="good")).json()["degraded"] is False


class TestKafkaAway:
    async def test_decisions_go_on_and_their_events_arrive_later(self, bench: Any) -> None:
        bench.producer.away = True
        for number in range(20):
            assert (await bench.score(transaction_id=f"tx-{number}")).status == 200
        assert bench.events(topics.DECISIONS) == []
        bench.producer.away = False
        assert [event.subject for event in bench.events(topics.DECISIONS)] == [f"tx-{number}" for number in range(20)]

    async def test_what_does_not_fit_the_buffer_is_counted_and_decided_all_the_same(self, bench: Any) -> None:
        change = Change()
        bench.producer.away, bench.producer.capacity = True, 5
        for number in range(8):
            assert (await bench.score(transaction_id=f"tx-{number}")).status == 200
        assert bench.publisher.drain(0) == 5
        assert change.of("fraud_events_dropped_total", topic=topics.DECISIONS) == 3


class TestOverload:
    async def test_a_full_queue_answers_503_with_retry_after(self, make_bench: Any) -> None:
        bench = make_bench(fraud_queue_length=10, fraud_store_timeout_ms=5_000, fraud_queue_deadline_ms=10_000)
        bench.store.answer_when = asyncio.Event()
        first = asyncio.create_task(bench.score(transaction_id="first"))
        await until(lambda: bench.store.calls == 1)
        waiting = [asyncio.create_task(bench.score(transaction_id=f"tx-{number}")) for number in range(30)]
        await until(lambda: sum(task.done() for task in waiting) == 20)
        refused = [task.result() for task in waiting if task.done()]
        assert {answer.status for answer in refused} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        batch = await bench.post("/v1/score/batch", orjson.dumps({"transactions": [wire()]}))
        assert batch.status == 503
        bench.store.answer_when.set()
        assert [(await task).status for task in (first, *waiting)].count(200) == 11

    async def test_who_has_waited_past_the_deadline_gets_503_and_no_decision(self, make_bench: Any) -> None:
        change = Change()
        bench = make_bench(fraud_queue_deadline_ms=20, fraud_store_timeout_ms=5_000)
        bench.store.answer_when = asyncio.Event()
        first = asyncio.create_task(bench.score(transaction_id="first"))
        await until(lambda: bench.store.calls == 1)
        late = asyncio.create_task(bench.score(transaction_id="late"))
        await asyncio.sleep(0.05)
        bench.store.answer_when.set()
        assert (await first).status == 200
        assert (await late).status == 503
        assert [event.subject for event in bench.events(topics.DECISIONS)] == ["first"]
        assert change.of("fraud_requests_refused_total", status="503") == 1


class TestUnforeseen:
    async def test_a_transaction_that_cannot_be_decided_does_not_harm_the_next(self, bench: Any) -> None:
        def broken() -> None:
            raise ValueError("a fault of the program")

        bench.store.before_answer = broken
        with pytest.raises(ValueError, match="fault of the program"):
            await bench.score()  # the host answers 500
        bench.store.before_answer = lambda: None
        assert (await bench.score()).status == 200

    async def test_it_harms_none_of_its_batch(self, bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        read = bench.store.record_and_read_each

        async def breaks(transactions: Any) -> Any:
            if any(one.transaction_id == "tx-2" for one in transactions):
                raise ValueError("a fault of the program")
            return await read(transactions)

        monkeypatch.setattr(bench.store, "record_and_read_each", breaks)
        answers = await asyncio.gather(
            *[bench.score(transaction_id=f"tx-{number}") for number in range(4)], return_exceptions=True
        )
        assert [getattr(answer, "status", type(answer)) for answer in answers] == [200, 200, ValueError, 200]
        assert len(bench.events(topics.DECISIONS)) == 3


class TestSwap:
    async def test_no_vector_meets_two_models(self, bench: Any) -> None:
        """The model changes while the store is asked: this batch is decided by the old one, in score, version, id."""
        new = model("2", rules=(Rule("amount", 1, 6.0),))

        def swap() -> None:
            bench.models.held = new

        bench.store.before_answer = swap
        asked = bench.models.asked
        answers = await asyncio.gather(*[bench.score(transaction_id=f"tx-{number}") for number in range(5)])
        assert bench.models.asked == asked + 1
        assert [len(batch) for batch in bench.store.batches] == [5]
        for place, answer in enumerate(answers):
            old = score_of({"amount": 4990, "txn_count_10m": place + 1}, RULES)
            assert answer.json()["model_version"] == "1"
            assert answer.json()["score"] == pytest.approx(old, abs=1e-6)
        after = (await bench.score(transaction_id="after")).json()
        assert after["model_version"] == "2"
        assert after["score"] == pytest.approx(score_of({"amount": 4990}, new_rules()), abs=1e-6)

    async def test_a_model_of_other_columns_gets_its_own(self, bench: Any) -> None:
        await bench.score()
        bench.models.held = model("2", features=("is_weekend", "amount"), rules=(Rule("amount", 5_000, 3.0),))
        low, high = [(await bench.score(transaction_id=f"a{amount}", amount=amount)).json() for amount in ("49", "51")]
        assert low["score"] == pytest.approx(score_of({}, ()), abs=1e-6)
        assert high["score"] == pytest.approx(score_of({"amount": 5_100}, (Rule("amount", 5_000, 3.0),)), abs=1e-6)


def new_rules() -> tuple[Rule, ...]:
    return (Rule("amount", 1, 6.0),)


class TestMetrics:
    async def test_equal_the_requests_sent(self, bench: Any) -> None:
        change = Change()
        await asyncio.gather(*[bench.score(transaction_id=f"a{n}", card_id=f"c{n}") for n in range(30)])
        await asyncio.gather(*[bench.score(transaction_id=f"r{n}", card_id=f"r{n}", amount="1000") for n in range(7)])
        await asyncio.gather(*[bench.score(amount="x") for _ in range(4)])
        await bench.post(
            "/v1/score/batch",
            orjson.dumps({"transactions": [wire(transaction_id=f"b{n}", card_id="b") for n in range(3)]}),
        )
        assert change.of("fraud_predictions_total", decision="approve", model_version="1") == 33
        assert change.of("fraud_predictions_total", decision="review", model_version="1") == 7
        assert change.total("fraud_predictions_total") == 40
        assert change.of("inference_latency_seconds_count") == 41  # single requests, the refused ones too
        assert change.of("fraud_requests_refused_total", status="422") == 4
        assert change.of("fraud_stage_latency_seconds_count", stage="validate") >= 37
        batches = change.of("fraud_batch_size_count")
        assert change.of("fraud_batch_size_sum") == 40
        for stage in ("features", "predict", "publish"):
            assert change.of("fraud_stage_latency_seconds_count", stage=stage) == batches
        assert len(bench.events(topics.DECISIONS)) == 40
        assert change.of("fraud_events_published_total", topic=topics.DECISIONS) == 40

    async def test_are_exported_with_help(self, bench: Any) -> None:
        await bench.score()
        text = (await call(bench.app, "GET", "/metrics")).body.decode()
        for name in (
            "fraud_predictions_total",
            "inference_latency_seconds",
            "fraud_stage_latency_seconds",
            "fraud_degraded_total",
            "fraud_model_info",
            "fraud_feature_reads_total",
            "fraud_feature_conflict_total",
            "fraud_feature_too_late_total",
            "fraud_events_published_total",
            "fraud_events_dropped_total",
        ):
            [line] = [line for line in text.splitlines() if line.startswith(f"# HELP {name} ")]
            assert len(line) > len(f"# HELP {name} ") + 10
