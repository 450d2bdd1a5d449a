"""`fraud replay` against the scorer itself, and against one that goes away, refuses and lies."""

import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import redis
from click.testing import Result

from shared.cli.output import CommandFailed
from shared.features.catalogue import CATALOGUE
from tests.support.loadgen.http_server import Behaviour, Server, serving

Replay = Callable[..., Result]
HEADER = "id,card,amount,shop,when,town"
MAPPING = (
    "--map=id=transaction_id",
    "--map=card=card_id",
    "--map=shop=merchant_id",
    "--map=when=timestamp",
    "--map=town=city",
    "--set=currency=EUR",
)


def write_file(folder: Path, count: int, cards: int = 12, *, ties: bool = True) -> Path:
    """Transactions of some cards in no order, many of them within the windows of each other."""
    pick = random.Random(1)
    lines = [HEADER]
    for number in range(count):
        second = 0 if ties else number % 60
        minute = pick.randint(0, 59) if ties else number // 60
        moment = f"2026-03-{pick.randint(1, 3):02} {pick.randint(8, 11):02}:{minute:02}:{second:02}"
        town = pick.choice(["", "Oslo", "Rome"])
        lines.append(f"t{number},c{pick.randrange(cards)},{pick.randint(0, 90000) / 100},m{number % 7},{moment},{town}")
    file = folder / "cards.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def by_card(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for card, transaction in pairs:
        found[card].append(transaction)
    return dict(found)


def answers(body: bytes) -> bytes:
    """What a scorer without any memory would answer."""
    decisions = [
        {
            "transaction_id": one["transaction_id"],
            "decision": "approve",
            "score": 0.25,
            "model_version": "7",
            "degraded": False,
            "features": {"amount": 100, "amount_zscore": 0.0, "distinct_cities_1h": None},
        }
        for one in orjson.loads(body)["transactions"]
    ]
    return orjson.dumps({"decisions": decisions})


def sent(server: Server) -> list[dict[str, Any]]:
    return [one for received in server.behaviour.received for one in orjson.loads(received.body)["transactions"]]


def reason(result: Result) -> str:
    assert isinstance(result.exception, CommandFailed), result.output
    return str(result.exception)


def test_every_row_gets_one_decision_with_the_features_of_history(
    tmp_path: Path, scorer: Server, replay: Replay
) -> None:
    file, out = write_file(tmp_path, 600), tmp_path / "decisions.parquet"
    result = replay(file, *MAPPING, "--url", scorer.url, "--out", out, "--batch", 16, "--verify", "--json")
    assert result.exit_code == 0, result.exception or result.output
    summary = json.loads(result.stdout)
    assert summary["rows"] == summary["decisions"] == 600
    assert summary["refused"] == summary["degraded"] == 0
    assert summary["assumed_timezone"] == "UTC"
    assert summary["model_versions"] == {"1": 600}
    assert summary["verification"]["decisions"] == 600
    assert summary["verification"]["mismatches"] == 0
    rows = pq.read_table(out).to_pylist()
    assert sorted(row["transaction_id"] for row in rows) == sorted(f"t{number}" for number in range(600))
    assert list(rows[0]) == [
        "transaction_id",
        "decision",
        "score",
        "model_version",
        "degraded",
        *(f"f_{name}" for name in CATALOGUE.names),
    ]
    assert max(row["f_txn_count_24h"] for row in rows) > 5
    assert not (tmp_path / "decisions.parquet.partial").exists()


def test_asking_again_gives_the_same_decisions(tmp_path: Path, scorer: Server, replay: Replay) -> None:
    file = write_file(tmp_path, 200, ties=False)  # of two at one moment, each knows the other the second time
    outs = [tmp_path / f"{name}.jsonl" for name in "ab"]
    for out in outs:
        assert replay(file, *MAPPING, "--url", scorer.url, "--out", out, "--verify").exit_code == 0
    first, second = (out.read_bytes() for out in outs)
    assert first == second
    assert first.count(b"\n") == 200


def test_verify_finds_what_the_history_does_not_know(
    tmp_path: Path, scorer: Server, redis_url: str, replay: Replay
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(f"{HEADER}\nx,c1,900.00,m1,2026-03-02 07:59:00,\n")
    assert replay(other, *MAPPING, "--url", scorer.url).exit_code == 0
    with redis.Redis.from_url(redis_url) as store:
        assert store.dbsize() > 0
    result = replay(write_file(tmp_path, 200), *MAPPING, "--url", scorer.url, "--verify")
    assert "mismatches" in reason(result)
    assert "txn_count_24h" in reason(result)
    assert ", 0 mismatches" not in reason(result)


def test_a_row_the_scorer_refuses_is_set_aside_with_its_reason(tmp_path: Path, scorer: Server, replay: Replay) -> None:
    file, out = write_file(tmp_path, 50), tmp_path / "decisions.jsonl"
    with file.open("a") as more:
        more.write("future,c1,1.00,m1,2999-01-01 00:00:00,\nbad,c1,-1,m1,2026-03-01 09:00:00,\n")
    result = replay(file, *MAPPING, "--url", scorer.url, "--out", out, "--verify", "--json")
    assert result.exit_code == 0, result.exception
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["decisions"], summary["refused"]) == (52, 50, 2)
    refused = [json.loads(line) for line in Path(summary["rejected"]).read_text().splitlines()]
    assert {row["transaction_id"]: row["row"] for row in refused} == {"bad": 52, "future": 51}
    assert "timestamp" in next(row["reason"] for row in refused if row["transaction_id"] == "future")
    assert b"future" not in out.read_bytes()


def test_each_card_is_sent_strictly_in_event_time_order(tmp_path: Path, replay: Replay) -> None:
    pick = random.Random(4)

    def slow(_path: str, body: bytes) -> tuple[int, bytes]:
        behaviour.delay_seconds = pick.random() / 100
        return 200, answers(body)

    behaviour = Behaviour(answer=slow)
    file = write_file(tmp_path, 400)
    lines = [line.split(",") for line in file.read_text().splitlines()[1:]]
    expected = by_card(
        [(line[1], line[0]) for line in sorted(lines, key=lambda line: line[4])]
    )  # stable: ties as filed
    with serving(behaviour) as server:
        result = replay(file, *MAPPING, "--url", server.url, "--concurrency", 8, "--batch", 5)
        assert result.exit_code == 0, result.exception
        assert by_card([(one["card_id"], one["transaction_id"]) for one in sent(server)]) == expected
        assert max(len(orjson.loads(one.body)["transactions"]) for one in behaviour.received) == 5


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_replay_broken_off_goes_on_where_it_was(tmp_path: Path, replay: Replay, suffix: str) -> None:
    def failing(_path: str, body: bytes) -> tuple[int, bytes]:
        return (500, b"no") if len(behaviour.received) > 10 else (200, answers(body))

    file, out = write_file(tmp_path, 300), tmp_path / f"decisions.{suffix}"
    partial = tmp_path / f"decisions.{suffix}.partial"
    behaviour = Behaviour(answer=failing)
    with serving(behaviour) as server:
        arguments = (file, *MAPPING, "--url", server.url, "--out", out, "--batch", 10, "--json")
        assert "answered 500" in reason(replay(*arguments))
        assert not out.exists()
        with partial.open("ab") as journal:
            journal.write(b'{"transaction_id": "cut off in the mid')
        done = partial.read_bytes().count(b"\n") - 1
        assert 0 < done <= 100
        behaviour.received.clear()
        behaviour.answer = lambda _path, body: (200, answers(body))
        result = replay(*arguments)
        assert result.exit_code == 0, result.exception
        assert len(sent(server)) == 300 - done
    summary = json.loads(result.stdout)
    assert summary["decisions"] == 300
    assert summary["resumed_after"] == done
    rows = pq.read_table(out).to_pylist() if suffix == "parquet" else [*map(json.loads, out.read_text().splitlines())]
    assert sorted(row["transaction_id"] for row in rows) == sorted(f"t{number}" for number in range(300))
    assert not partial.exists()


def test_another_replay_does_not_go_on_with_the_journal(tmp_path: Path, replay: Replay) -> None:
    file, out = write_file(tmp_path, 30), tmp_path / "decisions.jsonl"
    (tmp_path / "decisions.jsonl.partial").write_text('{"replay":{"file":"another"}}\n{"transaction_id":"x"}\n')
    with serving(Behaviour(answer=lambda _path, body: (200, answers(body)))) as server:
        assert replay(file, *MAPPING, "--url", server.url, "--out", out).exit_code == 0
        assert len(sent(server)) == 30
    assert out.read_text().count("\n") == 30


def test_a_scorer_that_is_away_for_a_while_is_waited_for(tmp_path: Path, replay: Replay) -> None:
    def overloaded(_path: str, body: bytes) -> tuple[int, bytes]:
        return (503, b"{}") if len(behaviour.received) % 3 else (200, answers(body))

    behaviour = Behaviour(answer=overloaded)
    with serving(behaviour) as server:
        result = replay(write_file(tmp_path, 100), *MAPPING, "--url", server.url, "--batch", 20, "--json")
    assert result.exit_code == 0, result.exception
    summary = json.loads(result.stdout)
    assert summary["decisions"] == 100
    assert summary["retries"] > 5


def test_a_scorer_that_stays_away_ends_the_replay_with_the_reason(tmp_path: Path, replay: Replay) -> None:
    with serving() as server:
        url = server.url
    result = replay(write_file(tmp_path, 10), *MAPPING, "--url", url, "--patience", 1)
    assert "stayed away for 1 s" in reason(result)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"decisions": []}', "other transactions than were asked for"),
        (200, b'{"decisions": [{"transaction_id": "t0"}]}', "no batch of decisions with features"),
        (200, b"<html>", "no batch of decisions"),
        (404, b'{"detail": "Not Found"}', "answered 404: Not Found"),
    ],
)
def test_what_is_no_scorer_is_told_so(tmp_path: Path, replay: Replay, status: int, body: bytes, expected: str) -> None:
    with serving(Behaviour(answer=lambda _path, _body: (status, body))) as server:
        assert expected in reason(replay(write_file(tmp_path, 1), *MAPPING, "--url", server.url))


def degraded_at(body: bytes, ids: set[str]) -> bytes:
    document = orjson.loads(answers(body))
    for decision in document["decisions"]:
        decision["degraded"] = decision["transaction_id"] in ids
    return orjson.dumps(document)


def test_degraded_decisions_are_asked_again_with_all_after_them(tmp_path: Path, replay: Replay) -> None:
    file, out = write_file(tmp_path, 5, ties=False), tmp_path / "decisions.jsonl"
    lines = [line.split(",") for line in file.read_text().splitlines()[1:]]
    order = [line[0] for line in sorted(lines, key=lambda line: line[4])]

    def once(_path: str, body: bytes) -> tuple[int, bytes]:
        return 200, degraded_at(body, {order[2]} if len(behaviour.received) == 1 else set())

    behaviour = Behaviour(answer=once)
    with serving(behaviour) as server:
        result = replay(file, *MAPPING, "--url", server.url, "--out", out, "--concurrency", 1, "--json")
        assert result.exit_code == 0, result.exception
        assert [one["transaction_id"] for one in sent(server)] == [*order, *order[2:]]
    assert json.loads(result.stdout)["asked_again"] == 3
    assert json.loads(result.stdout)["degraded"] == 0
    assert [json.loads(line)["transaction_id"] for line in out.read_text().splitlines()] == order


def test_a_store_that_stays_away_ends_the_replay_with_the_way_out(tmp_path: Path, replay: Replay) -> None:
    file = write_file(tmp_path, 5)
    with serving(Behaviour(answer=lambda _path, body: (200, degraded_at(body, {"t3"})))) as server:
        assert "--accept-degraded" in reason(replay(file, *MAPPING, "--url", server.url, "--patience", 1))


def test_degraded_decisions_that_are_accepted_are_not_verified_and_say_so(tmp_path: Path, replay: Replay) -> None:
    every = {f"t{number}" for number in range(5)}
    with serving(Behaviour(answer=lambda _path, body: (200, degraded_at(body, every)))) as server:
        result = replay(write_file(tmp_path, 5), *MAPPING, "--url", server.url, "--accept-degraded", "--verify")
    assert "5 decisions, 0 mismatches, 5 degraded and not compared" in reason(result)


def test_wrong_use_ends_with_2(tmp_path: Path, replay: Replay) -> None:
    file = write_file(tmp_path, 1)
    assert replay(file, *MAPPING, "--out", "decisions.csv").exit_code == 2
    assert replay(file, "--map", "nonsense").exit_code == 2
    assert replay(file, *MAPPING, "--tokenize", "card_id").exit_code == 2


def test_a_file_without_any_good_row_fails(tmp_path: Path, replay: Replay) -> None:
    file = tmp_path / "cards.csv"
    file.write_text(f"{HEADER}\nt,c,-1,m,2026-03-01 09:00:00,\n")
    assert "all 1 rows" in reason(replay(file, *MAPPING, "--url", "http://127.0.0.1:9"))
