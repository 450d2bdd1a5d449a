"""The lean protocol answers byte for byte what uvicorn's own does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.hosts.http_protocol import LeanProtocol

POST = b"POST /echo?a=%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
DATE = (b"date", b"Thu, 15 Jan 2026 12:30:45 GMT")


class Wire(asyncio.Transport):
    """The other end of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 80) if name in ("sockname", "peername") else default

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


STATUS = {"/nothing": 204, "/problem": 422}
HEADERS = {"/closing": (b"connection", b"close"), "/forged": (b"x", b"1\r\nset-cookie: 1")}
BODY = {"/long": lambda said: said + b"more", "/short": lambda said: said[:-1], "/nothing": lambda _: b""}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers as the path says."""
    path = scope["path"]
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if path == "/raises":
        raise LookupError
    said = b" ".join([scope["method"].encode(), path.encode(), scope["raw_path"], scope["query_string"], body])
    headers = [(b"Content-Type", b"text/plain")]
    if path not in ("/chunked", "/nothing"):
        headers.append((b"content-length", str(len(said)).encode()))
    if path in HEADERS:
        headers.append(HEADERS[path])
    said = BODY.get(path, bytes)(said)
    await send({"type": "http.response.start", "status": STATUS.get(path, 200), "headers": headers})
    if path == "/parts":
        await send({"type": "http.response.body", "body": said[:3], "more_body": True})
        said = said[3:]
    await send({"type": "http.response.body", "body": said})


async def converse(protocol: type[HttpToolsProtocol], *parts: bytes, keep_alive: float = 5) -> Wire:
    """Send parts of requests one after the other; return what was answered."""
    config = uvicorn.Config(application, ws="none", lifespan="off", log_config=None, timeout_keep_alive=keep_alive)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    config.load()
    server.server_state.default_headers = [DATE]
    wire = Wire()
    connection = protocol(config=config, server_state=server.server_state, app_state={})
    connection.connection_made(wire)
    for part in parts:
        connection.data_received(part)
        for _ in range(20):
            await asyncio.sleep(0)
    return wire


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([POST], id="at once"),
        pytest.param([POST[:20], POST[20:60], POST[60:-2], POST[-2:]], id="in pieces"),
        pytest.param([POST, POST, POST], id="kept alive"),
        pytest.param([POST + POST + POST], id="pipelined"),
        pytest.param([b"GET /a%C3%A9/b HTTP/1.1\r\nHost: x\r\n\r\n"], id="escaped path"),
        pytest.param([b"HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n"], id="head"),
        pytest.param([b"GET /echo HTTP/1.0\r\n\r\n"], id="1.0"),
        pytest.param([b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n"], id="caller closes"),
        pytest.param([POST.replace(b"Host", b"Expect: 100-continue\r\nHost")[:-5], b"hello"], id="100-continue"),
        pytest.param([b"GET /echo HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"], id="upgrade"),
        pytest.param([b"nonsense\r\n\r\n"], id="no http"),
        *[
            pytest.param([POST.replace(b"/echo", path.encode())], id=path)
            for path in (
                "/nothing", "/chunked", "/closing", "/long", "/short", "/forged", "/raises", "/problem", "/parts",
            )
        ],
    ],
)  # fmt: skip
async def test_answers_as_uvicorn_does(parts: list[bytes]) -> None:
    expected = await converse(HttpToolsProtocol, *parts)
    actual = await converse(LeanProtocol, *parts)
    assert actual.closed == expected.closed
    if any(path in parts[0] for path in (b"/long", b"/short", b"/forged")):
        # uvicorn may have sent the start of what it then broke off
        assert expected.closed
        assert b"".join(expected.writes).startswith(b"".join(actual.writes))
    else:
        assert b"".join(actual.writes) == b"".join(expected.writes)


async def test_an_answer_leaves_in_one_write() -> None:
    assert len((await converse(LeanProtocol, POST)).writes) == 1


async def test_an_idle_connection_is_closed_and_one_in_use_is_not() -> None:
    idle = await converse(LeanProtocol, POST, keep_alive=0.05)
    await asyncio.sleep(0.2)
    assert idle.closed
    waiting = await converse(LeanProtocol, POST, POST[:-1], keep_alive=0.05)
    await asyncio.sleep(0.2)
    assert not waiting.closed


async def test_a_bound_that_it_does_not_keep_is_refused() -> None:
    config = uvicorn.Config(application, lifespan="off", log_config=None, limit_concurrency=1)
    server = uvicorn.Server(config)
    config.load()
    with pytest.raises(ValueError, match="limit_concurrency"):
        LeanProtocol(config=config, server_state=server.server_state, app_state={})
