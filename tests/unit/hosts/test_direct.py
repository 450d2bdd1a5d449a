from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from shared.hosts import direct
from tests.support.asgi import call

MAIN = """
import functions_framework.aio
from starlette.responses import Response
from shared.hosts.direct import serves

application = Response("directly")

@functions_framework.aio.http
@serves(application)
async def marked(request):
    return application

@functions_framework.aio.http
async def plain(request):
    return Response("by the framework")
"""


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    (tmp_path / "main.py").write_text(MAIN)
    monkeypatch.setenv("FUNCTION_SOURCE", str(tmp_path / "main.py"))
    monkeypatch.delenv("LOG_EXECUTION_ID", raising=False)
    return monkeypatch


async def test_a_marked_function_is_served_directly(target: pytest.MonkeyPatch) -> None:
    target.setenv("FUNCTION_TARGET", "marked")
    application = direct.load()
    assert not isinstance(application, Starlette)
    assert (await call(application, "GET", "/any")).body == b"directly"
    assert (await call(direct._Loaded(), "GET", "/any")).body == b"directly"


async def test_any_other_function_is_served_by_the_framework(target: pytest.MonkeyPatch) -> None:
    target.setenv("FUNCTION_TARGET", "plain")
    application = direct.load()
    assert isinstance(application, Starlette)
    assert (await call(application, "GET", "/any")).body == b"by the framework"


async def test_execution_ids_in_logs_need_the_framework(target: pytest.MonkeyPatch) -> None:
    target.setenv("FUNCTION_TARGET", "marked")
    target.setenv("LOG_EXECUTION_ID", "1")
    target.setattr("functions_framework.aio._configure_app_execution_id_logging", lambda: None)
    assert isinstance(direct.load(), Starlette)


async def test_the_lifespan_ends_here(target: pytest.MonkeyPatch) -> None:
    target.setenv("FUNCTION_TARGET", "marked")
    stages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return next(stages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await direct._Loaded()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
