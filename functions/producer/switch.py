"""Asking the scorer as an issuer's switch does: within a time budget, with retries, and standing in when it runs out.

Stand-in processing is the card schemes' term for a decision that the switch makes itself because the system behind it
does not answer in time.
"""

import asyncio
import random
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import aiohttp
import orjson

_FIRST_BACKOFF_SECONDS = 0.02
_LONGEST_BACKOFF_SECONDS = 0.5
_RETRIED = frozenset({429, 500, 502, 503, 504})


class StandIn(StrEnum):
    """Why the switch decided by itself."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    OVERLOADED = "overloaded"
    REFUSED = "refused"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question.

    Attributes:
        decision: `approve`, `review` or `decline`; None when the switch stood in.
        stand_in: Why it did; None when there is a decision.
        degraded: The scorer answered without the card's history.
        retries: Further attempts after the first.
        control: It would have been declined, and was let through as part of the control group.
    """

    decision: str | None
    stand_in: StandIn | None
    degraded: bool = False
    retries: int = 0
    control: bool = False


class Switch:
    """Asks one scorer over kept-alive connections."""

    def __init__(self, session: aiohttp.ClientSession, scorer_url: str, budget_seconds: float) -> None:
        self._session = session
        self._url = scorer_url.rstrip("/") + "/v1/score"
        self._budget = budget_seconds

    async def ask(self, body: bytes, traceparent: str) -> Answer:
        """Ask for the decision on a transaction; answers within the budget whatever happens.

        Connection errors, 429 and 5xx are tried again after an exponential backoff with jitter, or the longer
        `Retry-After`, as long as that fits into the budget. The scorer recognises a repeated question by its ids.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._budget
        retries = 0
        while True:
            answer, retry_after = await self._attempt(body, traceparent, deadline - loop.time(), retries)
            if answer.stand_in in (None, StandIn.REFUSED, StandIn.TIMEOUT):
                return answer
            backoff = min(_FIRST_BACKOFF_SECONDS * 2**retries, _LONGEST_BACKOFF_SECONDS)
            wait = max(backoff * random.uniform(0.5, 1.0), retry_after)  # noqa: S311 - jitter keeps no secret
            if loop.time() + wait >= deadline:
                return answer
            await asyncio.sleep(wait)
            retries += 1

    async def _attempt(self, body: bytes, traceparent: str, seconds: float, retries: int) -> tuple[Answer, float]:
        headers = {"content-type": "application/json", "traceparent": traceparent}
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.post(self._url, data=body, headers=headers, timeout=timeout) as response:
                payload = await response.read()
        except TimeoutError:
            return Answer(None, StandIn.TIMEOUT, retries=retries), 0.0
        except (aiohttp.ClientError, OSError):
            return Answer(None, StandIn.UNREACHABLE, retries=retries), 0.0
        if response.status == HTTPStatus.OK:
            return _decision(payload, retries), 0.0
        reason = StandIn.OVERLOADED if response.status in _RETRIED else StandIn.REFUSED
        return Answer(None, reason, retries=retries), _retry_after(response.headers.get("retry-after"))


def _decision(payload: bytes, retries: int) -> Answer:
    try:
        document = orjson.loads(payload)
        control = bool(document.get("control", False))
        return Answer(str(document["decision"]), None, bool(document["degraded"]), retries, control)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Answer(None, StandIn.REFUSED, retries=retries)


def _retry_after(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else 0.0
