from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter

from redis import Redis

from tests.support.servers import FunctionProcess, Valkey, until
from tests.support.transactions import body

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def score(scorer: FunctionProcess, transaction_id: str, **changes: object) -> dict[str, object]:
    answer = scorer.post("/v1/score?details=true", body(transaction_id=transaction_id, **changes))
    assert answer.status == 200, answer.data
    document: dict[str, object] = answer.json()
    return document


def test_a_stopped_store_gives_degraded_answers_in_time_and_a_started_one_good_ones(
    scorer: FunctionProcess, store: Valkey
) -> None:
    assert score(scorer, "before", card_id="outage")["degraded"] is False
    before = scorer.metrics()
    store.stop()
    answers, slowest = [], 0.0
    for number in range(30):
        started = time.perf_counter()
        answers.append(score(scorer, f"during-{number}", card_id="outage"))
        slowest = max(slowest, time.perf_counter() - started)
    assert all(answer["degraded"] for answer in answers)
    assert {answer["model_version"] for answer in answers} == {"7-request-only"}
    assert all(answer["features"]["txn_count_10m"] is None for answer in answers)  # type: ignore[index]
    assert slowest < 2.0  # the store's time limit of this process is 0.5 s
    after = scorer.metrics()
    degraded = sum(after[name] - before.get(name, 0) for name in after if name.startswith("fraud_degraded_total"))
    assert degraded == 30

    store.start()
    until(lambda: score(scorer, "after", card_id="outage")["degraded"] is False, what="good answers")
    # Before and after are recorded; what was answered meanwhile comes from Kafka, once there is one.
    assert score(scorer, "after", card_id="outage")["features"]["txn_count_10m"] == 2  # type: ignore[index]


def test_a_store_that_hangs_gives_degraded_answers_in_time(scorer: FunctionProcess, store: Valkey) -> None:
    assert store.process is not None
    store.process.send_signal(signal.SIGSTOP)
    try:
        started = time.perf_counter()
        assert score(scorer, "hung", card_id="hang")["degraded"] is True
        assert time.perf_counter() - started < 2.0
        started = time.perf_counter()
        for number in range(20):  # nobody waits for the time limit again
            score(scorer, f"hung-{number}", card_id="hang")
        assert time.perf_counter() - started < 3.0
    finally:
        store.process.send_signal(signal.SIGCONT)
    until(lambda: score(scorer, "awake", card_id="hang")["degraded"] is False, what="good answers")


def test_a_store_that_forgot_its_scripts_is_taught_again(scorer: FunctionProcess, store: Valkey) -> None:
    with Redis.from_url(store.url) as client:
        client.script_flush()
    assert score(scorer, "taught", card_id="script")["degraded"] is False


def test_a_card_whose_key_is_of_a_wrong_type_is_decided_from_its_request_and_the_others_as_ever(
    scorer: FunctionProcess, store: Valkey
) -> None:
    with Redis.from_url(store.url) as client:
        client.hset("f:{wrong}:l", "not", "a string")
    before = scorer.metrics()
    transactions = [
        json.loads(body(transaction_id=f"w{n}", card_id=card)) for n, card in enumerate(["r", "wrong", "r"])
    ]
    answer = scorer.post("/v1/score/batch", json.dumps({"transactions": transactions}).encode())
    assert [decision["degraded"] for decision in answer.json()["decisions"]] == [False, True, False]
    assert score(scorer, "again", card_id="wrong")["degraded"] is True
    assert score(scorer, "at once", card_id="r")["features"]["txn_count_10m"] == 3  # type: ignore[index]
    refused = 'fraud_degraded_total{reason="store_refused"}'
    assert scorer.metrics()[refused] - before.get(refused, 0) == 2


def test_metrics_equal_the_requests_sent(scorer: FunctionProcess) -> None:
    before = scorer.metrics()
    verdicts: Counter[str] = Counter()
    for number in range(60):
        amount = "1000.00" if number % 6 == 0 else "5.00"
        verdicts[str(score(scorer, f"m-{number}", card_id=f"m-{number}", amount=amount)["decision"])] += 1
    for _ in range(5):
        assert scorer.post("/v1/score", body(amount="x")).status == 422
    after = scorer.metrics()

    def change(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert verdicts == {"approve": 50, "review": 10}
    for decision, count in verdicts.items():
        assert change(f'fraud_predictions_total{{decision="{decision}",model_version="7"}}') == count
    assert change("inference_latency_seconds_count") == 65
    assert change('fraud_requests_refused_total{status="422"}') == 5
    assert change('fraud_feature_reads_total{status="new"}') == 60
    assert after['fraud_model_info{alias="champion",version="7"}'] == 1


def test_events_wait_for_kafka_and_are_counted(scorer: FunctionProcess) -> None:
    score(scorer, "waiting")
    before = scorer.metrics()["fraud_events_pending"]
    score(scorer, "waiting-too")
    until(lambda: scorer.metrics()["fraud_events_pending"] > before, what="the pending count")
    assert not any(name.startswith("fraud_events_dropped_total") for name in scorer.metrics())


def test_logs_are_json_with_the_callers_trace(scorer: FunctionProcess) -> None:
    traceparent = f"00-{TRACE}-00f067aa0ba902b7-01"
    answer = scorer.post("/v1/score", body(transaction_id="traced"), {"traceparent": traceparent})
    assert answer.status == 200
    until(lambda: TRACE in scorer.logged(), what="the log line")
    lines = [json.loads(line) for line in scorer.logged().splitlines()]
    [traced] = [line for line in lines if line.get("trace_id") == TRACE]
    assert traced["transaction_id"] == "traced"
    assert traced["decision_id"] == answer.json()["decision_id"]
    assert {line["service"] for line in lines} == {"scorer"}
    assert not re.search(r"card-1|m-1\b", json.dumps(lines))  # no more of the request than its id
