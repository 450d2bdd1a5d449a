"""The dispatcher's Prometheus metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class DeliveryMetrics:
    """Counters and gauges of one dispatcher, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.delivered = Counter(
            "fraud_events_delivered",
            "Events that the sink took, by the status it answered.",
            ["source", "code"],
            registry=self.registry,
        )
        self.retried = Counter(
            "fraud_events_retried",
            "Attempts that were made again after a retryable answer, or none.",
            ["source"],
            registry=self.registry,
        )
        self.dead_lettered = Counter(
            "fraud_events_dead_lettered",
            "Records that the dead-letter sink has taken, by why they were given up.",
            ["source", "reason"],
            registry=self.registry,
        )
        self.discarded = Counter(
            "fraud_events_discarded",
            "Records given up by a source without a dead-letter sink, and scheduled events that no sink took.",
            ["source"],
            registry=self.registry,
        )
        self.lag = Gauge(
            "fraud_events_lag",
            "Records of a partition (topic-number) past the group's committed offset.",
            ["source", "partition"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "fraud_events_in_flight", "Requests under way to the sink.", ["source"], registry=self.registry
        )
        self.pings_skipped = Counter(
            "fraud_events_schedule_skipped",
            "Scheduled runs left out, because the one before was under way or the process was not running.",
            ["source", "reason"],
            registry=self.registry,
        )
