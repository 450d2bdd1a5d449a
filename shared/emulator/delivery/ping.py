"""One PingSource: an event at every tick of a cron schedule."""

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from shared.contracts.cloudevents import PING
from shared.emulator.delivery.connection import Answer
from shared.emulator.delivery.http_binding import HttpEvent
from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.plan import PingPlan
from shared.emulator.delivery.retry import PING_SOURCE, RetryPolicy, Verdict
from shared.emulator.delivery.sender import Sender
from shared.emulator.delivery.targets import Targets

_LOOK_EVERY: Final = 5.0  # seconds; a sleeping laptop or a set clock is noticed that soon
_COUNT_UP_TO: Final = 10_000
_log = logging.getLogger(__name__)


class PingSourceRunner:
    """Posts the event of a PingSource at its times, one run after the other.

    A run that is still under way when the next is due takes that one's place, and times that passed while the process
    was not running or the machine slept are not made up for; both are logged and counted. The event is lost once its
    retries are used up, as on a cluster.

    Args:
        plan: The source.
        sender: Makes the requests.
        targets: Knows the sink's address.
        metrics: Counts.
        home: Folder where the time of the last run is kept.
        policy: Retries.
        clock: Returns the current time, with zone.
    """

    def __init__(
        self,
        plan: PingPlan,
        sender: Sender,
        targets: Targets,
        metrics: DeliveryMetrics,
        home: Path,
        *,
        policy: RetryPolicy = PING_SOURCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.plan = plan
        self._sender = sender
        self._targets = targets
        self._metrics = metrics
        self._policy = policy
        self._clock = clock
        self._memory = home / f"pingsource-{plan.name}.json"
        self._zone = ZoneInfo(plan.timezone)
        self._scheduler: asyncio.Task[None] | None = None
        self._run: asyncio.Task[None] | None = None
        self._next: datetime | None = None
        self._last: dict[str, Any] | None = None
        self._skipped = 0

    def start(self) -> None:
        """Schedule until `stop`."""
        self._report_missed_while_away()
        self._scheduler = asyncio.create_task(self._keep_time())

    async def stop(self, grace: float) -> None:
        """Schedule no more, give a run under way `grace` seconds."""
        if self._scheduler is not None:
            self._scheduler.cancel()
        if self._run is not None and not self._run.done():
            await asyncio.wait({self._run}, timeout=grace)
            self._run.cancel()

    def status(self) -> dict[str, Any]:
        """Describe the source for `/status`."""
        return {
            "schedule": self.plan.schedule,
            "timezone": self.plan.timezone,
            "sink": self._targets.url(self.plan.sink) or self.plan.sink.service,
            "running": self._run is not None and not self._run.done(),
            "next_run": self._next.isoformat() if self._next else None,
            "last_run": self._last,
            "skipped": self._skipped,
        }

    async def _keep_time(self) -> None:
        times = self._times(self._clock())
        self._next = next(times)
        while True:
            wait = (self._next - self._clock()).total_seconds()
            if wait > 0:
                await asyncio.sleep(min(wait, _LOOK_EVERY))
                continue
            due, self._next, missed = self._next, next(times), 0
            while self._next <= self._clock():
                due, self._next, missed = self._next, next(times), missed + 1
            if missed:
                self._skip(missed, "asleep", "passed while this process could not run")
            self._fire(due)

    def _times(self, after: datetime) -> CronSim:
        return CronSim(self.plan.schedule, after.astimezone(self._zone))

    def _fire(self, due: datetime) -> None:
        if self._run is not None and not self._run.done():
            self._skip(1, "overlap", f"left out, the run before is still under way: {due.isoformat()}")
            return
        self._run = asyncio.create_task(self._deliver(due))

    def _skip(self, runs: int, reason: str, explanation: str) -> None:
        self._skipped += runs
        self._metrics.pings_skipped.labels(self.plan.name, reason).inc(runs)
        _log.warning("%s: %d scheduled run(s) %s", self.plan.name, runs, explanation)

    async def _deliver(self, due: datetime) -> None:
        event = self._event()
        self._remember(due)
        self._last = {"scheduled": due.isoformat(), "id": event.headers["ce-id"], "outcome": "running"}
        for attempt in range(self._policy.retry + 1):
            answer = await self._sender.post(self._targets.url(self.plan.sink), event, self._policy.timeout)
            verdict = Verdict.RETRY if answer.status is None else self._policy.judge(answer.status)
            self._last |= {"status": answer.status, "attempts": attempt + 1}
            if verdict is Verdict.DONE:
                self._metrics.delivered.labels(self.plan.name, str(answer.status)).inc()
                self._finish("delivered", answer)
                return
            if verdict is Verdict.REFUSED or attempt == self._policy.retry:
                break
            self._metrics.retried.labels(self.plan.name).inc()
            await asyncio.sleep(self._policy.delay(attempt + 1))
        self._metrics.discarded.labels(self.plan.name).inc()
        self._finish("failed", answer)
        _log.error("%s: the run of %s failed: %s", self.plan.name, due.isoformat(), self._last)

    def _finish(self, outcome: str, answer: Answer) -> None:
        assert self._last is not None  # noqa: S101 - set when the run began
        self._last |= {"outcome": outcome, "finished": self._clock().isoformat()}
        if outcome == "failed":
            self._last["reason"] = answer.reason.decode(errors="replace")

    def _event(self) -> HttpEvent:
        headers = {
            "ce-specversion": "1.0",
            "ce-type": PING,
            "ce-source": f"/apis/v1/namespaces/{self.plan.namespace}/pingsources/{self.plan.name}",
            "ce-id": str(uuid.uuid4()),
            "ce-time": self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if self.plan.content_type is not None:
            headers["content-type"] = self.plan.content_type
        return HttpEvent(headers, self.plan.data or b"")

    def _remember(self, due: datetime) -> None:
        self._memory.write_text(json.dumps({"last_run": due.isoformat()}))

    def _report_missed_while_away(self) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            last = datetime.fromisoformat(json.loads(self._memory.read_text())["last_run"])
            times, now, missed = self._times(last), self._clock(), 0
            while next(times) <= now and missed < _COUNT_UP_TO:
                missed += 1
            if missed:
                self._skip(missed, "away", "passed while this process was not running")
