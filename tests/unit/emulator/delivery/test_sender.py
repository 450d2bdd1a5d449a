import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from shared.backing.ports import free_ports
from shared.emulator.delivery.connection import REASON_BYTES
from shared.emulator.delivery.http_binding import HttpEvent
from shared.emulator.delivery.sender import Sender
from tests.support.delivery.sink import RecordingSink, Reply

EVENT = HttpEvent({"ce-id": "1", "content-type": "application/json"}, b"{}")


@pytest.fixture
def sink():
    with RecordingSink(*free_ports(1)) as service:
        yield service


async def test_headers_and_body_are_sent_and_nothing_is_added_that_could_mislead(sink) -> None:
    async with Sender() as sender:
        answer = await sender.post(sink.url + "/path", EVENT, 5)
    assert answer.status == 202
    (received,) = sink.received
    assert (received.path, received.body) == ("/path", b"{}")
    assert set(received.headers) == {"host", "ce-id", "content-type", "content-length"}


async def test_an_answer_keeps_the_start_of_its_body(sink) -> None:
    for size in (10, 300_000):
        sink.reply = lambda _, size=size: Reply(503, b"r" * size)
        async with Sender() as sender:
            answer = await sender.post(sink.url, EVENT, 5)
        assert answer.status == 503
        assert answer.reason == b"r" * min(size, REASON_BYTES)


async def test_redirects_are_answers(sink) -> None:
    sink.reply = lambda _: Reply(307, headers={"Location": "/elsewhere"})
    async with Sender() as sender:
        assert (await sender.post(sink.url, EVENT, 5)).status == 307
    assert len(sink.received) == 1


async def test_no_answer_has_a_reason_and_no_status(sink) -> None:
    sink.reply = lambda _: Reply(delay=5)
    async with Sender() as sender:
        for url, timeout, reason in [
            (sink.url, 0.1, b"no answer within 0.1 s"),
            ("http://127.0.0.1:1/", 5, b"Connect"),
            ("http://no-such-host.invalid/", 5, b"dispatch error"),
            ("nonsense", 5, b"dispatch error"),
            (None, 5, b"no address"),
        ]:
            answer = await sender.post(url, EVENT, timeout)
            assert answer.status is None
            assert reason in answer.reason


class Server:
    """Answers 202, and closes each connection after `per_connection` answers without saying so."""

    def __init__(self, per_connection: int = 1_000, answer: bytes = b"") -> None:
        self.per_connection = per_connection
        self.answer = answer or b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
        self.requests = self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.per_connection):
            try:
                await reader.readuntil(b"{}")
            except asyncio.IncompleteReadError:
                break
            self.requests += 1
            writer.write(self.answer)
        writer.close()


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


async def test_connections_are_used_again_and_opened_when_none_is_idle() -> None:
    server = Server()
    async with serving(server) as url, Sender() as sender:
        for _ in range(5):
            assert (await sender.post(url, EVENT, 5)).status == 202
        assert (server.connections, server.requests) == (1, 5)
        await asyncio.gather(*[sender.post(url, EVENT, 5) for _ in range(3)])
        assert (server.connections, server.requests) == (3, 8)


async def test_a_connection_that_was_closed_unasked_loses_no_event() -> None:
    server = Server(per_connection=2)
    async with serving(server) as url, Sender() as sender:
        statuses = [(await sender.post(url, EVENT, 5)).status for _ in range(10)]
    assert statuses == [202] * 10
    assert server.requests == 10


async def test_a_connection_is_not_used_after_the_server_said_close_or_said_nonsense() -> None:
    for answer, status in [
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", 202),
        (b"nonsense\r\n\r\n", None),
    ]:
        server = Server(answer=answer)
        async with serving(server) as url, Sender() as sender:
            assert [(await sender.post(url, EVENT, 5)).status for _ in range(2)] == [status] * 2
        assert server.connections == 2
