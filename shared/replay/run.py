"""One replay from the file to the decisions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import uvloop

from shared.replay.client import Outcome, ScorerClient
from shared.replay.journal import Journal
from shared.replay.pipeline import Pipeline
from shared.tabular.ingest import TransactionTable

OnDecided = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """How to send.

    Attributes:
        url: Base address of the scorer.
        lanes: Batches under way at once.
        batch: Most transactions of a batch.
        patience_seconds: How long one batch is retried before the replay gives up.
        accept_degraded: Take decisions made without the card's history; else they are asked again.
    """

    url: str
    lanes: int = 4
    batch: int = 64
    patience_seconds: float = 60.0
    accept_degraded: bool = False


@dataclass
class ReplayTally:
    """What this run did.

    Attributes:
        sent: Transactions sent in this run.
        retries: Batches sent again because the scorer was away.
        asked_again: Transactions asked again because their decision, or one before it, was degraded.
        decisions: Decisions by verdict.
        degraded: Decisions made without the card's history.
        model_versions: Decisions by model version.
    """

    sent: int = 0
    retries: int = 0
    asked_again: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    model_versions: Counter[str] = field(default_factory=Counter)


def replay(table: TransactionTable, journal: Journal, plan: ReplayPlan, on_decided: OnDecided) -> ReplayTally:
    """Send what the journal does not have yet, in event-time order, and write the outcomes to it.

    Args:
        table: The transactions.
        journal: Where outcomes go.
        plan: How to send.
        on_decided: Told the transactions done, after each batch of them.

    Raises:
        ReplayFailed: The scorer can not be used; run again, what the journal has stands.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_replay(table, journal, plan, on_decided))


async def _replay(table: TransactionTable, journal: Journal, plan: ReplayPlan, on_decided: OnDecided) -> ReplayTally:
    tally = ReplayTally()

    def done(file_row: int, transaction_id: str, outcome: Outcome) -> None:
        journal.write(file_row, transaction_id, outcome)
        tally.sent += 1
        on_decided(journal.resumed + tally.sent)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=plan.lanes)) as session:
        client = ScorerClient(session, plan.url, plan.patience_seconds, accept_degraded=plan.accept_degraded)
        pipeline: Pipeline[tuple[int, str]] = Pipeline(
            client, lambda tag, outcome: done(*tag, outcome), lanes=plan.lanes, batch=plan.batch
        )
        numbered = table.numbered(skip=journal.resumed)
        await pipeline.run(((row, one.transaction_id), one) for row, one in numbered)
        tally.retries = client.retries
        tally.asked_again = client.asked_again
    return tally


def count_decisions(journal: Journal, tally: ReplayTally) -> None:
    """Count verdicts, model versions and degraded answers of all decisions, those of earlier runs too."""
    for row in journal.rows():
        tally.decisions[row["decision"]] += 1
        tally.model_versions[row["model_version"]] += 1
        tally.degraded += row["degraded"]
