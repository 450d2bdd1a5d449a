"""The scorer's batch endpoint, with retries while it is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from shared.contracts.transaction import Transaction

_RETRIED = frozenset({429, 502, 503, 504})
_REFUSED = frozenset({400, 413, 422})
_FIRST_PAUSE_SECONDS = 0.05
_DEGRADED_PAUSE_SECONDS = 0.25  # gives a scorer that has given up on its store for a moment time to try it again
_LONGEST_PAUSE_SECONDS = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_SHOWN = 300


class ReplayFailed(Exception):
    """The scorer can not be used; the message says why."""


@dataclass(frozen=True)
class Refusal:
    """The scorer refused a transaction.

    Attributes:
        reason: Its problem document's detail.
    """

    reason: str


Outcome = dict[str, Any] | Refusal
"""The decision with its features, or why there is none."""


class ScorerClient:
    """Asks for decisions; scoring is idempotent, so whatever got no answer is simply asked again."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, patience_seconds: float, *, accept_degraded: bool = False
    ) -> None:
        """Prepare.

        Args:
            session: HTTP session to use.
            url: Base address of the scorer.
            patience_seconds: How long one batch is retried before the replay gives up.
            accept_degraded: Take decisions made while the feature store was away; else they are asked again.
        """
        self._session = session
        self._url = url.rstrip("/") + "/v1/score/batch?details=true"
        self._patience = patience_seconds
        self._accept_degraded = accept_degraded
        self.retries = 0
        self.asked_again = 0

    async def decide(self, transactions: Sequence[Transaction]) -> list[Outcome]:
        """Return the outcome of each transaction, decided in the given order.

        From the first degraded decision of a batch on all are asked again: those after it may have been made
        without knowing that transaction of their card.

        Raises:
            ReplayFailed: The scorer or its feature store stayed away, or the scorer answers as none does.
        """
        outcomes = await self._ask(transactions)
        deadline = time.monotonic() + self._patience
        while not self._accept_degraded and (first := _first_degraded(outcomes)) is not None:
            if time.monotonic() > deadline:
                raise ReplayFailed(
                    f"the feature store stayed away for {self._patience:g} s; --accept-degraded takes such decisions"
                )
            self.asked_again += len(transactions) - first
            await asyncio.sleep(_DEGRADED_PAUSE_SECONDS)
            outcomes[first:] = await self._ask(transactions[first:])
        return outcomes

    async def _ask(self, transactions: Sequence[Transaction]) -> list[Outcome]:
        body = orjson.dumps({"transactions": [transaction.to_wire() for transaction in transactions]})
        status, answer = await self._post(body)
        if status == 200:
            return _decisions(transactions, answer)
        if status not in _REFUSED:
            raise ReplayFailed(f"{self._url} answered {status}: {_detail(answer)}")
        if len(transactions) == 1:
            return [Refusal(_detail(answer))]
        # One of them is refused and spoils the batch; their order must stay.
        return [outcome for transaction in transactions for outcome in await self._ask([transaction])]

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE_SECONDS
        while True:
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, hides nothing
            try:
                async with self._session.post(
                    self._url, data=body, headers={"content-type": "application/json"}, timeout=_TIMEOUT
                ) as response:
                    if response.status not in _RETRIED:
                        return response.status, await response.read()
                    problem = f"status {response.status}"
                    wait = max(wait, _seconds(response.headers.get("retry-after")))
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = str(error) or type(error).__name__
            if time.monotonic() + wait > deadline:
                raise ReplayFailed(f"{self._url} stayed away for {self._patience:g} s: {problem}")
            self.retries += 1
            await asyncio.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _decisions(transactions: Sequence[Transaction], answer: bytes) -> list[Outcome]:
    try:
        decisions: list[dict[str, Any]] = orjson.loads(answer)["decisions"]
        answered = [decision["transaction_id"] for decision in decisions if isinstance(decision["features"], dict)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ReplayFailed("the answer is no batch of decisions with features") from None
    if answered != [transaction.transaction_id for transaction in transactions]:
        raise ReplayFailed("the answer has other transactions than were asked for")
    return list(decisions)


def _first_degraded(outcomes: Sequence[Outcome]) -> int | None:
    places = (i for i, outcome in enumerate(outcomes) if not isinstance(outcome, Refusal) and outcome["degraded"])
    return next(places, None)


def _detail(answer: bytes) -> str:
    try:
        return str(orjson.loads(answer)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return answer[:_SHOWN].decode(errors="replace")


def _seconds(retry_after: str | None) -> float:
    try:
        return min(float(retry_after or 0), _LONGEST_PAUSE_SECONDS)
    except ValueError:  # the date form of the header
        return 0.0
