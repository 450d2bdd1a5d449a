"""What the producer has done so far: Prometheus metrics, and the figures of its summary."""

from collections import Counter
from typing import Any, Final

from prometheus_client import Counter as Metric
from prometheus_client import Gauge, Histogram

from functions.producer.switch import Answer
from shared.simulation.stream import Delivery, Kind

DELIVERIES: Final = Metric("fraud_producer_deliveries_total", "Transactions and labels sent, by kind.", ["kind"])
FRAUDS: Final = Metric("fraud_producer_frauds_total", "Fraudulent transactions sent, by pattern.", ["pattern"])
ANSWERS: Final = Metric("fraud_producer_decisions_total", "Decisions that the scorer gave.", ["decision"])
STAND_INS: Final = Metric("fraud_producer_stand_ins_total", "Transactions the switch decided itself.", ["reason"])
RETRIES: Final = Metric("fraud_producer_retries_total", "Questions asked again.")
DEGRADED: Final = Metric("fraud_producer_degraded_total", "Decisions made without the card's history.")
IN_FLIGHT: Final = Gauge("fraud_producer_in_flight", "Open questions to the scorer.")
BEHIND: Final = Gauge("fraud_producer_behind_seconds", "How late the latest delivery was sent by the schedule.")
LATENCY: Final = Histogram(
    "fraud_producer_decision_seconds",
    "From the intended time of sending to the decision, retries included.",
    buckets=(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
)
_ALERTS = ("review", "decline")


class Tally:
    """Counts every delivery and every outcome, once for Prometheus and once for the summary."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.late = 0
        self.sent: Counter[str] = Counter()
        self.alerted: Counter[str] = Counter()
        self.false_alarms = 0
        self.decisions: Counter[str] = Counter()
        self.stand_ins: Counter[str] = Counter()
        self.retries = 0
        self.degraded = 0
        self.event_time_ms = 0
        self.seconds = 0.0

    def delivered(self, delivery: Delivery, seconds: float, behind_seconds: float) -> None:
        """Count something that was sent, `seconds` after the first one, and how far behind its intended time."""
        self.seconds = seconds
        kind = delivery.kind.name.lower()
        self.kinds[kind] += 1
        DELIVERIES.labels(kind).inc()
        BEHIND.set(max(behind_seconds, 0.0))
        self.event_time_ms = delivery.due_ms
        if delivery.kind is Kind.TRANSACTION:
            self.late += delivery.late
            if delivery.pattern is not None:
                self.sent[delivery.pattern] += 1
                FRAUDS.labels(delivery.pattern).inc()

    def answered(self, delivery: Delivery, answer: Answer, seconds: float) -> None:
        """Count what came of a question, `seconds` after the intended time of its transaction."""
        self.retries += answer.retries
        RETRIES.inc(answer.retries)
        if answer.decision is None:
            self.stand_ins[str(answer.stand_in)] += 1
            STAND_INS.labels(str(answer.stand_in)).inc()
            return
        LATENCY.observe(seconds)
        self.decisions[answer.decision] += 1
        ANSWERS.labels(answer.decision).inc()
        if answer.degraded:
            self.degraded += 1
            DEGRADED.inc()
        if delivery.kind is Kind.TRANSACTION and answer.decision in _ALERTS:
            if delivery.pattern is None:
                self.false_alarms += 1
            else:
                self.alerted[delivery.pattern] += 1

    @property
    def rate(self) -> float:
        """Transactions per second of the clock, from the first to the latest delivery."""
        return self.kinds["transaction"] / self.seconds if self.seconds > 0 else 0.0

    def document(self) -> dict[str, Any]:
        """Return the summary as one JSON document."""
        return {
            "transactions": self.kinds["transaction"],
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 3),
            "late": self.late,
            "duplicates": self.kinds["duplicate"],
            "labels": self.kinds["label"],
            "labels_outstanding": self.sent.total() - self.kinds["label"],
            "frauds": {p: {"sent": n, "alerted": self.alerted[p]} for p, n in sorted(self.sent.items())},
            "false_alarms": self.false_alarms,
            "decisions": dict(self.decisions),
            "degraded": self.degraded,
            "stand_ins": dict(self.stand_ins),
            "retries": self.retries,
        }
