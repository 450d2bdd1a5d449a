"""A role's credentials are whole with their session token only; Lambda gives all three as variables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from shared.lake.errors import LakeAway, TableMissing
from shared.lake.lake import Lake
from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings

TOKEN = "temporary-token"


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str | None]]:
    """The session tokens of all requests to a server that knows no object."""
    found: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.append(self.headers.get("x-amz-security-token"))
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        do_HEAD = do_PUT = do_GET  # noqa: N815 - the base class calls them so

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": TOKEN,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield found
    server.shutdown()
    server.server_close()


def test_tables_are_asked_for_with_the_token(tokens: list[str | None]) -> None:
    with suppress(TableMissing, LakeAway):
        Lake.open(LakeSettings()).table("decisions")
    assert set(tokens) == {TOKEN}


def test_files_are_asked_for_with_the_token(tokens: list[str | None]) -> None:
    with suppress(OSError):
        Lake.open(LakeSettings()).filesystem.get_file_info("fraud-lake/decisions/a.parquet")
    assert set(tokens) == {TOKEN}


def test_objects_are_asked_for_with_the_token(tokens: list[str | None]) -> None:
    assert Objects(LakeSettings(), "runs").get("none") is None
    assert set(tokens) == {TOKEN}
