"""The oracle with its bookkeeping by index, for cards of many transactions. The features stay by brute force."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.support.features.oracle import DAY, Card, Oracle, Tx


@dataclass
class IndexedCard(Card):
    """A card that finds its newest time and an id's versions without looking at all it knows."""

    _versions: dict[str, list[Tx]] = field(default_factory=lambda: defaultdict(list))
    _newest: int | None = None
    _indexed: int = 0

    def _index(self) -> None:
        for tx in self.known[self._indexed :]:
            self._versions[tx.transaction_id].append(tx)
            self._newest = tx.event_time_ms if self._newest is None else max(self._newest, tx.event_time_ms)
        self._indexed = len(self.known)

    def horizon(self, *more: Tx) -> int | None:
        self._index()
        times = [tx.event_time_ms for tx in more] + ([] if self._newest is None else [self._newest])
        return (max(times) - 31 * DAY) // DAY * DAY if times else None

    def first_version(self, transaction_id: str) -> Tx | None:
        horizon = self.horizon()
        versions = self._versions.get(transaction_id, [])
        return next((tx for tx in versions if tx.event_time_ms >= horizon), None)


class IndexedOracle(Oracle):
    """Equal to the oracle (a property test says so)."""

    card_type = IndexedCard
