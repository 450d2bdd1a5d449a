"""How often champion and challenger come to the same decision."""

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


class Agreement:
    """Counts agreements of one pair of models; a redelivered decision counts once."""

    def __init__(self) -> None:
        self._pair: tuple[str, str] | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._counts = {("all", True): 0, ("all", False): 0, ("alerts", True): 0, ("alerts", False): 0}

    def count(self, shadow: Shadow) -> None:
        """Count one comparison and bring the metrics up to date."""
        pair = (shadow.champion.model_version, shadow.challenger.model_version)
        if pair != self._pair:
            self._pair = pair
            self._seen.clear()
            self._counts = dict.fromkeys(self._counts, 0)
            AGREEMENT.clear()
        if shadow.decision_id in self._seen:
            return
        self._seen[shadow.decision_id] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        alert = shadow.champion.decision != "approve" or shadow.challenger.decision != "approve"
        for scope in ("all", "alerts") if alert else ("all",):
            self._counts[scope, shadow.agree] += 1
            AGREEMENT.labels(scope).set(self.percent(scope))
        COMPARED.labels(*pair, "yes" if alert else "no", "yes" if shadow.agree else "no").inc()
        DIFFERENCE.labels(*pair).inc(abs(shadow.champion.score - shadow.challenger.score))

    def percent(self, scope: str) -> float:
        """Return the agreement in percent, of ``all`` or of ``alerts``; NaN without any comparison."""
        agreed, differed = self._counts[scope, True], self._counts[scope, False]
        return 100.0 * agreed / (agreed + differed) if agreed + differed else float("nan")
