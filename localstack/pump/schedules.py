"""Schedules as EventBridge Scheduler and Lambda's asynchronous invocation play them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from cronsim import CronSim

from localstack.pump.invokers import FunctionError, Invoker
from localstack.pump.template import Schedule, TemplateError

_log = logging.getLogger(__name__)
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON: Final = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) ([*?]) \*\)")


def ticks(expression: str, start: datetime) -> Iterator[datetime]:
    """Times of a schedule after `start`, in UTC; of cron expressions those without a day of the week.

    Raises:
        TemplateError: The expression is not understood.
    """
    if rate := _RATE.fullmatch(expression):
        step = timedelta(**{f"{rate[2]}s": int(rate[1])})
        return (start + step * number for number in _count_from_one())
    if cron := _CRON.fullmatch(expression):
        fields = [re.sub(r"^0/", "*/", field).replace("?", "*") for field in cron.groups()]
        return iter(CronSim(" ".join(fields), start))
    raise TemplateError(f"schedule {expression!r} is not understood")


def _count_from_one() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


class ScheduleRunner:
    """Invokes a function at the ticks of its schedule; a run that fails is done again as often as the template says.

    Args:
        schedule: When and with what.
        invoker: The function.
        retry_seconds: Pause before the first retry; the second waits twice as long. A minute at AWS.
        on_failure: Told of an invocation that failed for good.
    """

    def __init__(
        self, schedule: Schedule, invoker: Invoker, retry_seconds: float, on_failure: Callable[[FunctionError], None]
    ) -> None:
        self._schedule = schedule
        self._invoker = invoker
        self._retry_seconds = retry_seconds
        self._on_failure = on_failure

    def run(self, stop: threading.Event) -> None:
        """Invoke at every tick until told to stop; ticks that pass during a run are skipped."""
        for moment in ticks(self._schedule.expression, datetime.now(UTC)):
            wait = (moment - datetime.now(UTC)).total_seconds()
            if wait < 0:
                continue
            if stop.wait(wait):
                return
            self.tick(stop)

    def tick(self, stop: threading.Event) -> bool:
        """Invoke once, with retries; whether it went well in the end."""
        for attempt in range(self._schedule.retries + 1):
            try:
                self._invoker.invoke(orjson.loads(self._schedule.input))
            except FunctionError as error:
                _log.warning("attempt %d of a tick failed: %s", attempt + 1, error)
                failure = error
            else:
                return True
            if attempt < self._schedule.retries and stop.wait(self._retry_seconds * (attempt + 1)):
                return False
        self._on_failure(failure)
        return False
