"""The contract of the scorer's answer."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.decision import Decision, DecisionDetails, decision_id, record_from_event
from shared.features.catalogue import CATALOGUE
from tests.support.asgi import call
from tests.support.metrics import Change
from tests.support.scoring.small_bundle import POLICY, score_of
from tests.support.transactions import body, transaction, wire

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class TestDecision:
    async def test_has_every_field_and_no_other(self, bench: Any) -> None:
        answer = await bench.score()
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-length"] == str(len(answer.body))
        document = answer.json()
        assert set(document) == set(Decision.model_fields) - {"control"}
        decision = Decision.model_validate_json(answer.body)
        features = {"amount": 4990, "txn_count_10m": 1, "is_high_risk_merchant": 0}
        assert decision.score == pytest.approx(score_of(features), abs=1e-6)
        assert document | {"score": 0} == {
            "transaction_id": "tx-1",
            "decision": "approve",
            "score": 0,
            "reasons": [],
            "model_version": "1",
            "policy_version": POLICY.version,
            "as_of": "2026-01-15T12:30:45.250Z",
            "degraded": False,
            "decision_id": decision_id(1_768_480_245_250, "tx-1", "1", POLICY.version),
        }

    @pytest.mark.parametrize(
        ("changes", "before", "decision"),
        [
            ({}, 0, "approve"),
            ({"amount": "1000.00"}, 0, "review"),  # log-odds 0.1
            ({"amount": "1000.00", "merchant_category": "gambling"}, 0, "decline"),  # 2.6
            ({"merchant_category": "jewelry"}, 4, "decline"),  # 2.6
        ],
    )
    async def test_follows_the_policy(self, bench: Any, changes: dict[str, Any], before: int, decision: str) -> None:
        for number in range(before):
            await bench.score(transaction_id=f"before-{number}")
        answer = (await bench.score(**changes)).json()
        values = {
            "amount": float(changes.get("amount", "49.90")) * 100,
            "txn_count_10m": before + 1,
            "is_high_risk_merchant": int("merchant_category" in changes),
        }
        assert answer["score"] == pytest.approx(score_of(values), abs=1e-6)
        assert answer["decision"] == decision == POLICY.decide(answer["score"])

    async def test_gives_reasons_the_strongest_first_unless_approved(self, bench: Any) -> None:
        answer = (await bench.score(amount="1000.00", merchant_category="gambling")).json()
        assert [reason["feature"] for reason in answer["reasons"]] == ["amount", "is_high_risk_merchant"]
        contributions = [reason["contribution"] for reason in answer["reasons"]]
        assert contributions == [pytest.approx(2.0), pytest.approx(1.25)]  # half of each rule's weight: 50 % reach it
        assert all(reason["text"].endswith(".") and len(reason["text"]) > 10 for reason in answer["reasons"])
        assert (await bench.score(transaction_id="other", card_id="other")).json()["reasons"] == []

    async def test_is_the_same_for_a_retry(self, bench: Any) -> None:
        first, second = await bench.score(), await bench.score()
        assert first.body == second.body
        assert len(bench.store.cards["card-1"]) == 1

    @pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "application/vnd.bank+json"])
    async def test_may_be_asked_for_in_any_json(self, bench: Any, content_type: str | None) -> None:
        headers = {} if content_type is None else {"content-type": content_type}
        assert (await bench.post("/v1/score", body(), headers=headers)).status == 200

    async def test_may_be_asked_for_in_pieces(self, bench: Any) -> None:
        data = body()
        pieces = [data[:5], b"", data[5:50], data[50:]]
        assert (await bench.post("/v1/score", pieces)).body == (await bench.score()).body


class TestDetails:
    @pytest.mark.parametrize(
        "query", ["?details=true", "?details=1", "?details=True", "?a=b&details=%74rue", "?details=false&details=true"]
    )
    async def test_have_features_and_timings(self, bench: Any, query: str) -> None:
        answer = await bench.score(query)
        document = answer.json()
        assert set(document) == set(DecisionDetails.model_fields) - {"control"}
        details = DecisionDetails.model_validate_json(answer.body)
        assert list(details.features) == list(CATALOGUE.names)
        assert details.features["amount"] == 4990
        assert details.features["distinct_cities_1h"] is None
        assert {"validate", "queue", "features", "predict", "total"} <= set(details.timings)
        parts = sum(milliseconds for stage, milliseconds in details.timings.items() if stage != "total")
        assert parts == pytest.approx(details.timings["total"], abs=0.01)

    async def test_stand_in_server_timing_too(self, bench: Any) -> None:
        answer = await bench.score("?details=true")
        written = dict(re.findall(r"(\w+);dur=([\d.]+)(?:, |$)", answer.headers["server-timing"]))
        assert {stage: float(milliseconds) for stage, milliseconds in written.items()} == answer.json()["timings"]

    @pytest.mark.parametrize("query", ["", "?details=false", "?details=0", "?other=true"])
    async def test_are_left_out_unless_asked_for(self, bench: Any, query: str) -> None:
        answer = await bench.score(query)
        assert set(answer.json()) == set(Decision.model_fields) - {"control"}
        assert "server-timing" not in answer.headers

    @pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch"])
    async def test_asked_for_in_no_sense_are_refused(self, bench: Any, path: str) -> None:
        data = body() if path == "/v1/score" else orjson.dumps({"transactions": [wire()]})
        answer = await bench.post(f"{path}?details=banana", data)
        assert answer.status == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["query.details"]
        assert bench.store.calls == 0

    async def test_of_a_batch_stand_at_each_decision(self, bench: Any) -> None:
        data = orjson.dumps({"transactions": [wire(), wire(transaction_id="tx-2")]})
        answer = await bench.post("/v1/score/batch?details=true", data)
        for decision in answer.json()["decisions"]:
            assert list(DecisionDetails.model_validate(decision).features) == list(CATALOGUE.names)


class TestBatch:
    async def test_is_decided_in_its_order(self, bench: Any) -> None:
        transactions = [wire(transaction_id=f"tx-{number}") for number in range(6)]
        answer = await bench.post("/v1/score/batch", orjson.dumps({"transactions": transactions}))
        assert answer.status == 200
        decisions = answer.json()["decisions"]
        assert [decision["transaction_id"] for decision in decisions] == [f"tx-{number}" for number in range(6)]
        # the fifth and sixth see the burst before them
        assert [decision["decision"] for decision in decisions] == ["approve"] * 4 + ["review"] * 2

    async def test_answers_what_single_requests_would(self, bench: Any, make_bench: Any) -> None:
        transactions = [wire(transaction_id=f"tx-{n}", amount=f"{300 * n}.50", card_id=f"c-{n % 2}") for n in range(9)]
        together = await bench.post("/v1/score/batch", orjson.dumps({"transactions": transactions}))
        other = make_bench()
        singly = [(await other.score(**one)).json() for one in transactions]
        assert together.json() == {"decisions": singly}

    async def test_may_hold_a_thousand(self, bench: Any) -> None:
        change = Change()
        transactions = [wire(transaction_id=f"tx-{number}", card_id=f"c-{number % 50}") for number in range(1_000)]
        answer = await bench.post("/v1/score/batch", orjson.dumps({"transactions": transactions}))
        assert len(answer.json()["decisions"]) == 1_000
        assert change.total("fraud_predictions_total") == 1_000

    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ({"transactions": []}, "transactions"),
            ({"transactions": [wire()] * 1_001}, "transactions"),
            ({"transactions": wire()}, "transactions"),
            ({}, "transactions"),
            ([], "transactions"),
            (7, "transactions"),
            ({"transactions": [wire()], "more": 1}, "more"),
            ({"transactions": [wire(), wire(amount="x")]}, "transactions.1.amount"),
            ({"transactions": [wire(), 7]}, "transactions.1"),
            ({"transactions": [wire(card_id="4111111111111111")]}, "transactions.0.card_id"),
            ({"transactions": [wire(timestamp="2099-01-01T00:00:00Z")]}, "transactions.0.timestamp"),
        ],
        ids=lambda value: str(value)[:30],
    )
    async def test_that_is_wrong_is_refused_whole_by_the_place(self, bench: Any, document: Any, field: str) -> None:
        answer = await bench.post("/v1/score/batch", orjson.dumps(document))
        assert answer.status == 422
        assert answer.json()["errors"][0]["field"] == field
        assert bench.store.calls == 0

    @pytest.mark.parametrize("depth", [250, 300, 1_000, 100_000])
    async def test_of_deep_nonsense_is_refused(self, bench: Any, depth: int) -> None:
        answer = await bench.post("/v1/score/batch", b'{"transactions":[%b]}' % (b"[" * depth + b"]" * depth))
        assert answer.status == 422


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"amount": "12.345"}, "amount"),
            ({"card_id": "4111111111111111"}, "card_id"),
            ({"merchant_name": "Shop"}, "merchant_name"),
            ({"timestamp": "2026-01-15T12:30:45"}, "timestamp"),
            ({"timestamp": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "timestamp"),
        ],
    )
    async def test_name_the_field(self, bench: Any, changes: dict[str, Any], field: str) -> None:
        change = Change()
        answer = await bench.score(**changes)
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert [error["field"] for error in problem["errors"]] == [field]
        assert problem["detail"].startswith(f"{field}: ")
        assert bench.store.calls == 0
        assert bench.events(topics.DECISIONS) == []
        assert change.of("fraud_requests_refused_total", status="422") == 1
        assert change.total("fraud_predictions_total") == 0

    @pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"\0" * 60_000, b"[" * 60_000])
    @pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch"])
    async def test_meet_junk(self, bench: Any, path: str, junk: bytes) -> None:
        answer = await bench.post(path, junk)
        assert answer.status == 422
        assert answer.json()["errors"]

    @pytest.mark.parametrize(("path", "limit"), [("/v1/score", 64 * 1024), ("/v1/score/batch", 4 * 1024 * 1024)])
    async def test_meet_a_body_that_is_too_large_without_reading_on(self, bench: Any, path: str, limit: int) -> None:
        assert (await bench.post(path, b" " * (limit - len(body())) + body())).status != 413
        pieces = [b" " * 65_536] * (limit // 65_536 + 10_000)
        answer = await bench.post(path, pieces)
        assert answer.status == 413
        assert str(limit) in answer.json()["detail"]

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    @pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch"])
    async def test_meet_other_media_types(self, bench: Any, path: str, content_type: str) -> None:
        answer = await bench.post(path, body(), headers={"content-type": content_type})
        assert answer.status == 415
        assert answer.json()["title"] == "Unsupported Media Type"

    @pytest.mark.parametrize("pieces", [[], [b""], [body()[:20]], [body()]])
    async def test_meet_callers_who_hang_up_in_the_middle(self, bench: Any, pieces: list[bytes]) -> None:
        answer = await bench.post("/v1/score", pieces, hang_up=True)
        assert answer.status == 400
        assert bench.store.calls == 0

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/v1/score", 405), ("GET", "/nowhere", 404), ("DELETE", "/metrics", 405), ("POST", "/v1/score/", 404)],
    )
    async def test_meet_other_paths_and_methods_as_problems(
        self, bench: Any, method: str, path: str, status: int
    ) -> None:
        answer = await call(bench.app, method, path)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("allow" in answer.headers) == (status == 405)


class TestEvent:
    async def test_is_the_receipt_of_the_decision(self, bench: Any) -> None:
        answer = await bench.score(
            "?details=true", {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, amount="1000.00"
        )
        [event] = bench.events(topics.DECISIONS)
        document = answer.json()
        assert event.type == cloudevents.DECISION
        assert event.id == document["decision_id"]
        assert event.source == "/fraud/scorer"
        assert (event.subject, event.partition_key) == ("tx-1", "card-1")
        assert event.time == "2026-01-15T12:30:45.250Z"
        assert event.traceparent.startswith(f"00-{TRACE}-")
        assert "00f067aa0ba902b7" not in event.traceparent
        record = record_from_event(event.data)
        assert record.transaction == transaction(amount="1000.00")
        assert record.features == document["features"]
        assert (record.feature_status, record.catalogue_version) == ("new", CATALOGUE.version)
        stored = orjson.loads(event.data)
        assert {name: stored[name] for name in Decision.model_fields} == {
            name: document.get(name, False) for name in Decision.model_fields
        }

    async def test_lets_the_decision_be_computed_again(self, bench: Any) -> None:
        for number in range(7):
            await bench.score(transaction_id=f"tx-{number}", amount=f"{number * 250}.00", merchant_category=None)
        served = bench.models.held.bundle.main
        for event in bench.events(topics.DECISIONS):
            record = record_from_event(event.data)
            row = np.array([[record.features[name] for name in served.features]], dtype=np.float32)
            assert served.predictor.score(row)[0] == record.score
            assert served.policy.decide(record.score) == record.decision
            identity = decision_id(
                record.transaction.event_time_ms, record.transaction_id, record.model_version, record.policy_version
            )
            assert identity == record.decision_id

    async def test_says_how_the_store_took_the_transaction(self, bench: Any) -> None:
        change = Change()
        bench.store.too_late = {"late"}
        await bench.score()
        await bench.score()
        await bench.score(amount="1.00")
        await bench.score(transaction_id="late")
        statuses = [record_from_event(event.data).feature_status for event in bench.events(topics.DECISIONS)]
        assert statuses == ["new", "seen", "conflict", "too_late"]
        for status in statuses:
            assert change.of("fraud_feature_reads_total", status=status) == 1
        assert change.total("fraud_feature_conflict_total") == 1
        assert change.total("fraud_feature_too_late_total") == 1
        assert bench.events(topics.TRANSACTIONS) == []

    async def test_says_where_windows_were_cut(self, bench: Any) -> None:
        change = Change()
        bench.store.cut = {"of a full card"}
        await bench.score()
        await bench.score(transaction_id="of a full card")
        marks = [record_from_event(event.data).features_cut for event in bench.events(topics.DECISIONS)]
        assert marks == [False, True]
        assert change.total("fraud_feature_cut_total") == 1

    async def test_of_a_conflict_holds_the_first_versions_features(self, bench: Any) -> None:
        await bench.score()
        document = (await bench.score("?details=true", amount="1000.00")).json()
        assert document["features"]["amount"] == 4990
        assert document["decision"] == "approve"


class TestFrontDoorAndApi:
    """The busiest routes are answered before FastAPI, which declares them all the same."""

    @pytest.mark.parametrize("query", ["", "?details=false", "?details=banana"])
    @pytest.mark.parametrize(
        "data",
        [body(), body(amount="x"), body(amount="1000.00"), b"junk", b"x" * 100_000],
        ids=["good", "bad amount", "alert", "junk", "large"],
    )
    async def test_give_the_same_answer(self, bench: Any, query: str, data: bytes) -> None:
        api = await bench.app._load_api()
        through = [await call(app, "POST", f"/v1/score{query}", body=data) for app in (bench.app, api)]
        assert through[0] == through[1]

    @pytest.mark.parametrize("path", ["/health/liveness", "/health/readiness"])
    async def test_give_the_same_health(self, bench: Any, path: str) -> None:
        api = await bench.app._load_api()
        assert await call(bench.app, "GET", path) == await call(api, "GET", path)

    async def test_start_everything_once(self, bench: Any) -> None:
        await asyncio.gather(*[bench.score(transaction_id=f"tx-{number}") for number in range(5)])
        assert bench.models.started == 1
