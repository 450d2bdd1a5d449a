"""A feature store in memory, whose failures can be chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from redis.exceptions import ResponseError

from shared.contracts.decision import FeatureValue
from shared.contracts.label import Label
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE
from shared.features.online import FeatureRead, LabelOutcome
from shared.features.online.wire import ReadStatus, subject_of
from shared.features.values import request_finishers


class FakeStore:
    """Counts each card's transactions; a known id is seen again, or a conflict when its content differs.

    `txn_count_*` is the number of the card's known transactions and `total_amount_10m` their sum, whatever their times:
    what features mean is tested elsewhere.

    Attributes:
        error: Raised by each call while it is set.
        answer_when: While set, calls wait for it.
        batches: Transactions of each call that was answered.
        labels: What came in by `label`.
        before_answer: Called in the middle of a call.
        too_late: Ids to be answered as too late.
        cut: Ids to be answered as cut.
        refused: Ids that the store answers with an error.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answer_when: asyncio.Event | None = None
        self.before_answer: Callable[[], None] = lambda: None
        self.too_late: set[str] = set()
        self.cut: set[str] = set()
        self.refused: set[str] = set()
        self.batches: list[list[Transaction]] = []
        self.calls = 0
        self.cards: dict[str, dict[str, Transaction]] = {}
        self.labels: list[Label] = []
        self._finishers = request_finishers(CATALOGUE)

    async def record_and_read_each(self, transactions: Sequence[Transaction]) -> list[FeatureRead | ResponseError]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if self.answer_when is not None:
            await self.answer_when.wait()
        else:
            await asyncio.sleep(0)
        self.before_answer()
        self.batches.append(list(transactions))
        return [
            ResponseError("WRONGTYPE") if transaction.transaction_id in self.refused else self._read(transaction)
            for transaction in transactions
        ]

    async def label(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if self.answer_when is not None:
            await self.answer_when.wait()
        outcomes = [LabelOutcome.KNOWN if label in self.labels else LabelOutcome.APPLIED for label in labels]
        self.labels += labels
        return outcomes

    async def record_each(self, transactions: Sequence[Transaction]) -> list[ReadStatus | ResponseError]:
        reads = await self.record_and_read_each(transactions)
        return [read if isinstance(read, ResponseError) else read.status for read in reads]

    def request_only_vector(self, transaction: Transaction) -> tuple[FeatureValue, ...]:
        subject = subject_of(transaction)
        return tuple(finish((), subject) for finish in self._finishers)

    def _read(self, transaction: Transaction) -> FeatureRead:
        if transaction.transaction_id in self.too_late:
            return FeatureRead(self._vector(transaction, [transaction]), ReadStatus.TOO_LATE)
        known = self.cards.setdefault(transaction.card_id, {})
        first = known.setdefault(transaction.transaction_id, transaction)
        status = ReadStatus.NEW if first is transaction else ReadStatus.SEEN
        if first.to_wire() != transaction.to_wire():
            status = ReadStatus.CONFLICT
        return FeatureRead(self._vector(first, list(known.values())), status, transaction.transaction_id in self.cut)

    def _vector(self, transaction: Transaction, known: Sequence[Transaction]) -> tuple[FeatureValue, ...]:
        total = sum(one.amount_minor for one in known)
        values = dict(zip(CATALOGUE.names, self.request_only_vector(transaction), strict=True))
        values |= dict.fromkeys(("txn_count_10m", "txn_count_1h", "txn_count_24h"), len(known))
        values |= {"total_amount_10m": total, "avg_amount_24h": total / len(known), "amount_zscore": 0.0}
        return tuple(values.values())
