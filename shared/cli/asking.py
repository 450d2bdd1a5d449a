"""Asking a scheduled function for a run now, and what its record says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import urllib3

from shared.cli.output import CommandFailed, fail
from shared.cli.stack_state import running_stack
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import now_milliseconds
from shared.runs.record import COMMAND_LINE, RunRecord

_TIMEOUT_SECONDS: Final = 900.0
_ADMIN_SECONDS: Final = 5.0
_CLOCKS_APART: Final = timedelta(minutes=1)


def function_url(function: str) -> str:
    """Return the address of a function of the running system.

    Raises:
        StackNotRunning: Nothing runs here.
        CommandFailed: The system does not know the function.
    """
    status = f"{running_stack().admin_url}/status"
    try:
        services = urllib3.request("GET", status, timeout=_ADMIN_SECONDS, retries=False).json()["services"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{status} does not say where {function} is: {error!r}") from error
    if function not in services:
        fail(f"{function} is no service that can be asked: {', '.join(services)} are")
    return str(services[function]["url"])


def ask(function: str, asked: Mapping[str, Any], url: str | None = None) -> RunRecord:
    """Have a function run now, and return the record of the run.

    Args:
        function: Its name.
        asked: Data of the event.
        url: Its address; the running system's when None.

    Raises:
        CommandFailed: It refused, does not answer, or left no record.
        StackNotRunning: Nothing runs here.
    """
    started = datetime.now(UTC)
    event_id = tell(function, asked, url)
    record = next((one for one in _runs(function, started - _CLOCKS_APART) if one.trigger.id == event_id), None)
    if record is None:
        fail(f"{function} has run, and left no record of it")
    return record


def tell(function: str, asked: Mapping[str, Any], url: str | None = None, *, rerun_of: str | None = None) -> str:
    """Send a function the event that its schedule sends, wait until it has run, and return the event's id.

    Args:
        function: Its name.
        asked: Data of the event.
        url: Its address; the running system's when None.
        rerun_of: The run that is done again.

    Raises:
        CommandFailed: It refused or does not answer.
        StackNotRunning: Nothing runs here.
    """
    target = url or function_url(function)
    event = Event(
        id=str(uuid.uuid4()),
        source=COMMAND_LINE,
        type=cloudevents.PING,
        data=orjson.dumps(asked),
        subject=rerun_of,
        time=cloudevents.event_time(now_milliseconds()),
    )
    headers, body = cloudevents.to_http(event)
    try:
        answer = urllib3.request("POST", target, headers=headers, body=body, timeout=_TIMEOUT_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError as error:
        fail(f"{function} at {target} does not answer: {error}")
    if answer.status != 202:
        fail(f"{function} answered {answer.status}: {_detail(answer.data)}")
    return event.id


def _runs(function: str, since: datetime) -> list[RunRecord]:
    from shared.cli.runs import open_store  # noqa: PLC0415 - boto3
    from shared.lake.errors import LakeAway  # noqa: PLC0415

    try:
        return list(open_store().since(function, since))
    except LakeAway as away:
        raise CommandFailed(f"the record of the run cannot be read: {away}") from away


def _detail(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace") or "no reason given"
