import asyncio
import time

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.producer.switch import StandIn, Switch

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
APPROVED = {"decision": "approve", "degraded": False}


class Scorer:
    """Answers with what it is given, one after the other, the last for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def answer(self, request):
        self.requests.append((request.headers.copy(), await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = 200
        if answer == 200:
            return web.json_response(APPROVED)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=status, headers=headers)


async def ask(scorer, budget=2.0):
    app = web.Application()
    app.router.add_post("/v1/score", scorer if asyncio.iscoroutinefunction(scorer) else scorer.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        return await Switch(session, str(server.make_url("/")), budget).ask(b"{}", TRACEPARENT)


async def test_a_decision_is_passed_on_and_the_trace_with_the_question():
    scorer = Scorer(200)
    answer = await ask(scorer)

    assert (answer.decision, answer.stand_in, answer.retries) == ("approve", None, 0)
    headers, body = scorer.requests[0]
    assert headers["traceparent"] == TRACEPARENT
    assert headers["content-type"] == "application/json"
    assert body == b"{}"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_scorer_in_trouble_is_asked_again(status):
    answer = await ask(Scorer(status, status, 200))

    assert (answer.decision, answer.retries) == ("approve", 2)


async def test_a_refusal_is_final():
    scorer = Scorer(422)
    answer = await ask(scorer)

    assert (answer.decision, answer.stand_in) == (None, StandIn.REFUSED)
    assert len(scorer.requests) == 1


async def test_a_decision_says_that_the_control_group_let_it_through():
    async def answer(_request):
        return web.json_response({"decision": "approve", "degraded": False, "control": True})

    assert (await ask(answer)).control
    assert not (await ask(Scorer(200))).control


async def test_an_answer_that_is_no_decision_is_a_refusal():
    async def nonsense(_request):
        return web.Response(body=b"[]")

    assert (await ask(nonsense)).stand_in is StandIn.REFUSED


async def test_the_switch_stands_in_when_the_budget_is_spent():
    begin = time.monotonic()
    answer = await ask(Scorer(30.0), budget=0.2)

    assert answer.stand_in is StandIn.TIMEOUT
    assert time.monotonic() - begin < 5


async def test_overload_that_lasts_ends_within_the_budget():
    scorer = Scorer(503)
    answer = await ask(scorer, budget=0.4)

    assert answer.stand_in is StandIn.OVERLOADED
    assert answer.retries == len(scorer.requests) - 1 > 0


async def test_a_retry_after_beyond_the_budget_is_not_waited_for():
    scorer = Scorer((503, {"Retry-After": "60"}))
    answer = await ask(scorer, budget=1.0)

    assert (answer.stand_in, answer.retries) == (StandIn.OVERLOADED, 0)


async def test_a_retry_after_within_the_budget_is_kept():
    begin = time.monotonic()
    answer = await ask(Scorer((503, {"Retry-After": "1"}), 200), budget=5.0)

    assert (answer.decision, answer.retries) == ("approve", 1)
    assert time.monotonic() - begin >= 1


async def test_nobody_at_the_address():
    async with aiohttp.ClientSession() as session:
        answer = await Switch(session, "http://127.0.0.1:1", 0.2).ask(b"{}", TRACEPARENT)

    assert answer.stand_in is StandIn.UNREACHABLE
    assert answer.retries > 0
