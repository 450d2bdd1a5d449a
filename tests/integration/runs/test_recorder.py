"""Runs as they are written to a real S3 server and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from shared.cli import runs as runs_command
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.lake.errors import LakeAway
from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.parity.evidence import parity_since
from shared.runs.lease import LeaseTaken
from shared.runs.record import Trigger
from shared.runs.recorder import Recorder
from shared.runs.store import FOLDER, RunStore
from tests.support.lake.tables import own_lake
from tests.support.metrics import Change

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TICK = Trigger(kind="schedule")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(s3_environment: Mapping[str, str]) -> RunStore:
    return RunStore(Objects(own_lake(s3_environment).settings, FOLDER))


@pytest.fixture
def recorder(store: RunStore, clock: Clock) -> Recorder:
    return Recorder(store, "train", every=timedelta(hours=1), clock=clock)


def test_a_run_is_kept_with_what_it_read_and_made(store: RunStore, recorder: Recorder, clock: Clock) -> None:
    with recorder.record(TICK) as run:
        run.inputs["decisions"] = 17
        clock.pass_by(seconds=90)
        run.outputs["model"] = "4"
    (kept,) = store.latest("train")
    assert (kept.outcome, kept.seconds, kept.inputs, kept.outputs) == ("done", 90.0, {"decisions": 17}, {"model": "4"})
    assert store.find(run.run_id) == kept
    assert store.find("20260115T120000000Z-ffffff") is None
    assert store.find("nonsense") is None


def test_refused_skipped_failed_and_taken_say_why(store: RunStore, recorder: Recorder, clock: Clock) -> None:
    with recorder.record(TICK) as run:
        run.refuse("precision 0.71 is below 0.90")
    clock.pass_by(seconds=1)
    with recorder.record(TICK) as run:
        run.skip("there is a champion")
    clock.pass_by(seconds=1)
    with pytest.raises(ZeroDivisionError), recorder.record(TICK):
        _ = 1 / 0
    clock.pass_by(seconds=1)
    with pytest.raises(LeaseTaken), recorder.record(TICK):
        raise LeaseTaken("train is held by another")
    assert [(run.outcome, run.reason) for run in store.latest("train")] == [
        ("skipped", "train is held by another"),
        ("failed", "ZeroDivisionError: division by zero"),
        ("skipped", "there is a champion"),
        ("refused", "precision 0.71 is below 0.90"),
    ]
    assert [run.outcome for run in store.latest("train", failed=True)] == ["failed"]


def test_a_run_that_never_ended_has_died(store: RunStore, clock: Clock) -> None:
    recorder = Recorder(store, "train", longest=timedelta(minutes=10), clock=clock)
    block = recorder.record(TICK)
    block.__enter__()
    assert [run.state(NOON + timedelta(minutes=9)) for run in store.latest("train")] == ["running"]
    assert [run.state(NOON + timedelta(minutes=11)) for run in store.latest("train")] == ["died"]
    assert list(store.latest("train", failed=True, now=NOON)) == []
    assert len(list(store.latest("train", failed=True, now=NOON + timedelta(hours=1)))) == 1


def test_scheduled_runs_that_did_not_happen_are_said(store: RunStore, recorder: Recorder, clock: Clock) -> None:
    change = Change()
    for hours in (0.0, 1.0, 0.9, 1.1):
        clock.pass_by(hours=hours)
        with recorder.record(TICK):
            pass
    assert [run.missed for run in store.latest("train")] == [0, 0, 0, 0]
    clock.pass_by(hours=2)
    with recorder.record(Trigger(kind="manual")):
        pass  # is no tick, and misses none
    clock.pass_by(days=2)
    with recorder.record(TICK):
        pass
    assert next(store.latest("train")).missed == 49
    assert change.of("fraud_runs_missed_total", function="train") == 49


def test_runs_of_several_days_come_newest_first_and_old_ones_can_go(
    store: RunStore, recorder: Recorder, clock: Clock
) -> None:
    for _ in range(4):
        with recorder.record(TICK):
            pass
        clock.pass_by(hours=20)
    starts = [run.started for run in store.latest("train")]
    assert starts == sorted(starts, reverse=True)
    assert [run.started for run in store.since("train", starts[1])] == [starts[1], starts[0]]
    assert store.prune("train", starts[1].date()) == 2
    assert [run.started for run in store.latest("train")] == starts[:2]


def test_triggers_are_told_apart() -> None:
    def event(type_: str, source: str, subject: str | None = None) -> Event:
        return Event("e-1", source, type_, b'{"seed": 7}', subject=subject)

    tick = Trigger.of(event(cloudevents.PING, "/apis/v1/namespaces/fraud/pingsources/train-daily"))
    assert (tick.kind, tick.id, tick.request) == ("schedule", "e-1", {"seed": 7})
    assert Trigger.of(event(cloudevents.DRIFT, "/fraud/drift")).kind == "event"
    again = Trigger.of(event(cloudevents.PING, "/fraud/cli", subject="20260115T120000000Z-abcdef"))
    assert (again.kind, again.rerun_of) == ("manual", "20260115T120000000Z-abcdef")


def test_evidence_of_parity_adds_up(store: RunStore, clock: Clock) -> None:
    recorder = Recorder(store, "parity", clock=clock)
    for wrong in (0, 2, 1):
        with recorder.record(Trigger(kind="event")) as run:
            run.outputs |= {
                "checked": 10,
                "decisions_wrong": wrong,
                "undecidable": 0,
                "mismatches": {"amount": wrong} if wrong else {},
            }
        clock.pass_by(minutes=15)
    evidence = parity_since(store, NOON + timedelta(minutes=1))
    assert (evidence.runs, evidence.checked, evidence.decisions_wrong) == (2, 20, 3)
    assert evidence.mismatches == {"amount": 3}


def test_a_storage_that_is_away_stops_the_run_before_it_begins(s3_environment: Mapping[str, str]) -> None:
    nowhere = {name.lower(): value for name, value in s3_environment.items()} | {
        "aws_endpoint_url": "http://127.0.0.1:1"
    }
    recorder = Recorder(RunStore(Objects(LakeSettings(**nowhere), FOLDER)), "train")  # type: ignore[arg-type]
    began = False
    with pytest.raises(LakeAway), recorder.record(TICK):
        began = True
    assert not began


def test_the_command_lists_runs_of_all_functions(
    s3_environment: Mapping[str, str],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = own_lake(s3_environment).settings
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FRAUD_LAKE_URI", settings.fraud_lake_uri)
    store = RunStore(Objects(settings, FOLDER))
    for function in ("train", "drift", "train"):
        with Recorder(store, function, clock=clock).record(TICK) as run:
            run.refuse("no")
        clock.pass_by(minutes=1)
    runs_command.command(limit=2, as_json=True)
    listed = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["function"], run["outcome"]) for run in listed] == [("train", "refused"), ("drift", "refused")]
    runs_command.command(function="drift", failed=False, limit=5, as_json=False)
    assert "refused" in capsys.readouterr().out
    runs_command.command(failed=True, limit=5, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"runs": []}
