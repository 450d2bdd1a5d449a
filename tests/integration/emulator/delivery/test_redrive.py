"""Dead letters listed and sent again, by the command a user types."""

import json

from typer.testing import CliRunner

from shared.cli.deadletters import app
from shared.emulator.delivery.redrive import GROUP
from tests.support.delivery.dispatcher import kafka_sink, kafka_source, service
from tests.support.delivery.kafka import eventually
from tests.support.delivery.sink import Reply

HEADERS = [("ce_specversion", b"1.0"), ("ce_id", b"t-1"), ("ce_source", b"/t"), ("ce_type", b"t"), ("x", b"\xff")]


def run(kafka, topic: str, *arguments: str) -> dict:
    options = ["--bootstrap-servers", kafka.address, "--topic", topic, "--json"]
    result = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_a_redriven_record_reaches_the_repaired_function_as_it_was_and_only_once(
    kafka, sink, dispatch, topic, dead_topic
) -> None:
    sink.reply = lambda _: Reply(400, b'{"detail": "field amount is missing"}')
    kafka.produce(topic, [(b"card-%d" % number, b"%d" % number) for number in range(450)], headers=HEADERS)
    with dispatch(service(), kafka_sink(dead_topic), kafka_source("s", topic)) as process:
        eventually(lambda: process.source("s")["dead_lettered"] == 450)
        originals = {(r.partition, r.key, r.value) for r in kafka.read(topic, 450)}

        listed = run(kafka, dead_topic, "list", "--limit", "3")
        assert listed["pending"] == 450
        assert [letter["reason"] for letter in listed["dead_letters"]] == ["field amount is missing"] * 3
        assert {letter["original_topic"] for letter in listed["dead_letters"]} == {topic}

        sink.reply = lambda _: Reply(202)
        assert run(kafka, dead_topic, "redrive", "--limit", "250") == {
            "topic": dead_topic,
            "found": 250,
            "sent": 250,
            "skipped": {},
        }
        assert run(kafka, dead_topic, "list")["pending"] == 200
        assert run(kafka, dead_topic, "redrive")["sent"] == 200
        assert run(kafka, dead_topic, "redrive")["found"] == 0
        eventually(lambda: process.source("s")["delivered"] == 450)

    again = kafka.read(topic, 900)
    assert len(again) == 900
    assert {(r.partition, r.key, r.value) for r in again} == originals
    assert all(r.headers == HEADERS for r in again)
    assert sum(kafka.committed(GROUP, dead_topic).values()) == 450


def test_what_cannot_be_redriven_is_said_and_passed_over(kafka, topic, dead_topic) -> None:
    kafka.produce(dead_topic, [(b"k", b"v")])
    kafka.produce(dead_topic, [(b"k", b"v")], headers=[("ce_originaltopic", b"gone")])
    kafka.produce(
        dead_topic, [(b"k", None)], headers=[("ce_originaltopic", topic.encode()), ("ce_originalvalueomitted", b"9")]
    )
    result = run(kafka, dead_topic, "redrive")
    assert (result["found"], result["sent"], len(result["skipped"])) == (3, 0, 3)
    assert run(kafka, dead_topic, "redrive")["found"] == 0


def test_the_table_shows_hostile_reasons_harmlessly(kafka, topic, dead_topic) -> None:
    kafka.produce(dead_topic, [(b"k", b"v")], headers=[("ce_knativeerrordata", b"\x1b[31m[bold]evil")])
    result = CliRunner().invoke(app, ["list", "--bootstrap-servers", kafka.address, "--topic", dead_topic])
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[bold]" in result.stdout.replace("\n", "")
