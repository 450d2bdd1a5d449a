import pytest

from shared.backing.ports import free_ports
from shared.emulator.delivery.http_binding import HttpEvent
from shared.emulator.delivery.sender import REASON_BYTES, Sender
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


async def test_an_answer_keeps_the_start_of_its_body_and_its_retry_after(sink) -> None:
    for size in (10, 300_000):
        sink.reply = lambda _, size=size: Reply(503, b"r" * size, {"Retry-After": "4"})
        async with Sender() as sender:
            answer = await sender.post(sink.url, EVENT, 5)
        assert (answer.status, answer.retry_after) == (503, 4.0)
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
