"""How often champion and challenger come to the same decision."""

from collections import Counter as Counts
from collections import OrderedDict
from typing import Final

from prometheus_client import Counter, Gauge

from shared.contracts.shadow import Shadow

AGREEMENT: Final = Gauge(
    "shadow_agreement_percent",
    "Share of transactions on which challenger and champion decide the same, of all and of those that either would not "
    "approve; of this replica since it first saw this pair of models.",
    ["scope"],
)
COMPARED: Final = Counter(
    "fraud_shadow_compared_total",
    "Decisions compared, each once.",
    ["champion", "challenger", "alert", "agree"],
)
SKIPPED: Final = Counter("fraud_shadow_skipped_total", "Decisions that were not compared.", ["reason"])
DIFFERENCE: Final = Counter(
    "fraud_shadow_score_difference_total",
    "Sum of the absolute differences of the two scores.",
    ["champion", "challenger"],
)

_REMEMBERED = 50_000
_PAIRS = 8
_SCOPES = ("all", "alerts")


class Agreement:
    """Counts agreements, each pair of models apart; a redelivered decision counts once.

    The gauge shows the pair of the decision counted last. While replicas of the scorer change over to another champion
    one by one, the pairs come mixed; what was counted of either is kept.
    """

    def __init__(self) -> None:
        self._pair: tuple[str, str] | None = None
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._counts: OrderedDict[tuple[str, str], Counts[tuple[str, bool]]] = OrderedDict()

    def count(self, shadow: Shadow) -> None:
        """Count one comparison and bring the metrics up to date."""
        pair = (shadow.champion.model_version, shadow.challenger.model_version)
        comparison = (shadow.decision_id, shadow.challenger.model_version)
        if comparison in self._seen:
            return
        self._seen[comparison] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        alert = shadow.champion.decision != "approve" or shadow.challenger.decision != "approve"
        counts = self._counts.setdefault(pair, Counts())
        self._counts.move_to_end(pair)
        if len(self._counts) > _PAIRS:
            self._counts.popitem(last=False)
        for scope in _SCOPES if alert else _SCOPES[:1]:
            counts[scope, shadow.agree] += 1
        self._show(pair)
        COMPARED.labels(*pair, "yes" if alert else "no", "yes" if shadow.agree else "no").inc()
        DIFFERENCE.labels(*pair).inc(abs(shadow.champion.score - shadow.challenger.score))

    def _show(self, pair: tuple[str, str]) -> None:
        if pair != self._pair:
            self._pair = pair
            AGREEMENT.clear()
        counts = self._counts[pair]
        for scope in _SCOPES:
            agreed, differed = counts[scope, True], counts[scope, False]
            if agreed or differed:
                AGREEMENT.labels(scope).set(100.0 * agreed / (agreed + differed))
