"""`fraud rerun`: do a run again."""

from __future__ import annotations

import uuid
from typing import Annotated

import orjson
import typer
import urllib3

from shared.cli.output import CommandFailed, console, fail, print_json
from shared.cli.runs import open_store
from shared.cli.stack_state import running_stack
from shared.contracts import cloudevents, problems
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import now_milliseconds
from shared.lake.errors import LakeAway
from shared.runs.record import COMMAND_LINE, RunRecord

_TIMEOUT_S = 900.0
_ADMIN_TIMEOUT_S = 5.0


def command(
    run: Annotated[str, typer.Argument(help="Id of the run, as `fraud runs` shows it.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Ask the function of a run again for what it was asked for then, and wait for it.

    Example: fraud rerun 20260115T023000004Z-3f9a1c
    """
    try:
        record = open_store().find(run)
    except LakeAway as away:
        fail(f"the runs cannot be read: {away}")
    if record is None:
        fail(f"there is no run {run}: `fraud runs` lists them")
    url = _service_url(record.function)
    headers, body = cloudevents.to_http(_event(record))
    try:
        answer = urllib3.request("POST", url, headers=headers, body=body, timeout=_TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        fail(f"{record.function} at {url} does not answer: {error}")
    if answer.status != 202:
        detail = answer.data[:300].decode(errors="replace")
        if answer.headers.get("content-type") == problems.MEDIA_TYPE:
            detail = str(orjson.loads(answer.data)["detail"])
        fail(f"{record.function} answered {answer.status}: {detail}")
    if as_json:
        print_json({"function": record.function, "rerun_of": run})
    else:
        console().print(f"{record.function} has done it again: `fraud runs --function {record.function}` shows how")


def _event(record: RunRecord) -> Event:
    return Event(
        id=str(uuid.uuid4()),
        source=COMMAND_LINE,
        type=cloudevents.PING,
        data=orjson.dumps({} if record.trigger.request is None else record.trigger.request),
        subject=record.run_id,
        time=cloudevents.event_time(now_milliseconds()),
    )


def _service_url(function: str) -> str:
    status = f"{running_stack().admin_url}/status"
    try:
        services = urllib3.request("GET", status, timeout=_ADMIN_TIMEOUT_S, retries=False).json()["services"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        raise CommandFailed(f"{status} does not answer: {error!r}") from error
    if function not in services:
        fail(f"{function} is no service that can be asked: it runs as a part of another")
    return str(services[function]["url"])
