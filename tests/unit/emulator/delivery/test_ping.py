import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.emulator.delivery import ping
from shared.emulator.delivery.connection import Answer
from shared.emulator.delivery.http_binding import HttpEvent
from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.ping import PingSourceRunner
from shared.emulator.delivery.plan import PingPlan, Sink
from shared.emulator.delivery.retry import RetryPolicy, ping_verdict
from shared.emulator.delivery.targets import Targets

START = datetime(2026, 11, 23, 11, 59, 59, tzinfo=UTC)
QUICK = RetryPolicy(retry=2, backoff_policy="linear", backoff_delay=0.001, timeout=1, judge=ping_verdict)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, **step: float) -> None:
        self._now += timedelta(**step)


class FakeSender:
    def __init__(self, *answers: Answer, hold: asyncio.Event | None = None) -> None:
        self.sent: list[HttpEvent] = []
        self._answers = list(answers)
        self._hold = hold

    async def post(self, url: str | None, event: HttpEvent, timeout: float) -> Answer:  # noqa: ASYNC109
        self.sent.append(event)
        if self._hold is not None:
            await self._hold.wait()
        return self._answers.pop(0) if self._answers else Answer(202)


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not look():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    home: Path, sender: FakeSender, clock: Clock, schedule: str = "0 * * * *", timezone: str = "UTC"
) -> AsyncIterator[PingSourceRunner]:
    plan = PingPlan("hourly", "fraud", schedule, timezone, "application/json", b"{}", Sink("train", "/"))
    (home / "targets.json").write_text(json.dumps({"train": "http://127.0.0.1:1"}))
    runner = PingSourceRunner(
        plan,
        sender,  # type: ignore[arg-type]
        Targets(home / "targets.json"),
        DeliveryMetrics(),
        home,
        policy=QUICK,
        clock=clock,
    )
    runner.start()
    await until(lambda: runner.status()["next_run"])
    clock.advance(seconds=1)
    yield runner
    await runner.stop(0.1)


@pytest.fixture(autouse=True)
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "_LOOK_EVERY", 0.01)


async def test_each_run_is_an_event_with_an_id_of_its_own(tmp_path: Path) -> None:
    clock, sender = Clock(START), FakeSender()
    async with running(tmp_path, sender, clock) as runner:
        await until(lambda: len(sender.sent) == 1)
        clock.advance(hours=1)
        await until(lambda: len(sender.sent) == 2)
        await until(lambda: runner.status()["last_run"]["outcome"] == "delivered")
        status = runner.status()
    assert status["last_run"]["scheduled"] == "2026-11-23T13:00:00+00:00"
    assert status["next_run"] == "2026-11-23T14:00:00+00:00"
    assert len({event.headers["ce-id"] for event in sender.sent}) == 2


async def test_the_schedule_is_in_the_time_zone_of_the_source(tmp_path: Path) -> None:
    async with running(tmp_path, FakeSender(), Clock(START), "30 2 * * *", "Europe/Berlin") as runner:
        assert runner.status()["next_run"] == "2026-11-24T02:30:00+01:00"


async def test_a_run_still_under_way_takes_the_place_of_the_next(tmp_path: Path, caplog) -> None:
    hold, clock = asyncio.Event(), Clock(START)
    sender = FakeSender(hold=hold)
    async with running(tmp_path, sender, clock) as runner:
        await until(lambda: sender.sent)
        clock.advance(hours=1)
        await until(lambda: runner.status()["skipped"] == 1)
        assert runner.status()["running"]
        assert "still under way" in caplog.text
        hold.set()
        await until(lambda: not runner.status()["running"])
        clock.advance(hours=1)
        await until(lambda: len(sender.sent) == 2)


async def test_times_that_passed_while_asleep_are_one_run_and_the_rest_is_logged(tmp_path: Path, caplog) -> None:
    clock, sender = Clock(START), FakeSender()
    async with running(tmp_path, sender, clock) as runner:
        await until(lambda: len(sender.sent) == 1)
        await until(lambda: not runner.status()["running"])
        clock.advance(hours=5)
        await until(lambda: len(sender.sent) == 2)
        assert runner.status()["skipped"] == 4
        assert "4 scheduled run(s) passed" in caplog.text


async def test_times_that_passed_while_not_running_are_logged_at_the_next_start(tmp_path: Path, caplog) -> None:
    clock, sender = Clock(START), FakeSender()
    async with running(tmp_path, sender, clock):
        await until(lambda: sender.sent)
    clock.advance(hours=3)
    async with running(tmp_path, sender, clock) as runner:
        assert runner.status()["skipped"] == 3
        assert "not running" in caplog.text
    assert len(sender.sent) == 1


async def test_an_unavailable_function_is_asked_again_with_the_same_event(tmp_path: Path) -> None:
    sender = FakeSender(Answer(503), Answer(None, b"dispatch error: refused"))
    async with running(tmp_path, sender, Clock(START)) as runner:
        await until(lambda: len(sender.sent) == 3)
        await until(lambda: runner.status()["last_run"]["outcome"] == "delivered")
    assert len({event.headers["ce-id"] for event in sender.sent}) == 1


@pytest.mark.parametrize(
    ("answers", "attempts"), [([Answer(500, b"bad data")], 1), ([Answer(503, b"bad data")] * 3, 3)]
)
async def test_a_run_that_fails_says_so(tmp_path: Path, answers: list[Answer], attempts: int) -> None:
    sender = FakeSender(*answers)
    async with running(tmp_path, sender, Clock(START)) as runner:
        await until(lambda: (runner.status()["last_run"] or {}).get("outcome") == "failed")
        run = runner.status()["last_run"]
    assert (run["attempts"], run["reason"], len(sender.sent)) == (attempts, "bad data", attempts)
