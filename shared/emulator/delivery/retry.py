"""Which answers are retried, and after how long.

Sources: Knative's delivery contract (knative/specs, `specs/eventing/data-plane.md`, "Event Acknowledgement and Delivery
Retry") and what the data plane of KafkaSource makes of it (`WebClientCloudEventSender.isRetryableStatusCode` and
`computeRetryPolicy` in eventing-kafka-broker).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

LONGEST_DELAY: Final = 3600.0
"""Seconds that any single wait is bounded by; exponential policies with many retries would pass a day."""


class Verdict(Enum):
    """What an answer means for the event."""

    DONE = "done"
    RETRY = "retry"
    REFUSED = "refused"


def verdict(status: int) -> Verdict:
    """Judge an HTTP status as the data plane of KafkaSource does."""
    if status < 300:
        return Verdict.DONE
    if status >= 500 or status in {404, 408, 409, 429}:
        return Verdict.RETRY
    return Verdict.REFUSED


def ping_verdict(status: int) -> Verdict:
    """Judge an HTTP status as the PingSource adapter does.

    It sends with the CloudEvents SDK for Go, whose default is narrower than KafkaSource's: a plain 500 is not retried
    (`defaultIsRetriableFunc` in sdk-go, `v2/protocol/http`).
    """
    if status < 300:
        return Verdict.DONE
    return Verdict.RETRY if status in {404, 413, 425, 429, 502, 503, 504} else Verdict.REFUSED


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently one event is tried.

    Attributes:
        retry: Attempts after the first one.
        backoff_policy: Growth of the wait with the number of the retry n = 1, 2, ...: delay * n or delay * 2 ** n.
        backoff_delay: Seconds.
        timeout: Seconds that one request may take.
        judge: The verdict on a status.
    """

    retry: int
    backoff_policy: Literal["linear", "exponential"]
    backoff_delay: float
    timeout: float
    judge: Callable[[int], Verdict] = verdict

    def delay(self, retry: int) -> float:
        """Return the seconds to wait before the retry of that number (from 1).

        A service's Retry-After changes nothing: KafkaSource's data plane does not read it, nor does the adapter of
        PingSource.
        """
        factor = float(retry) if self.backoff_policy == "linear" else 2.0 ** min(retry, 64)
        return min(self.backoff_delay * factor, LONGEST_DELAY)


KAFKA_SOURCE_DEFAULT: Final = RetryPolicy(retry=10, backoff_policy="exponential", backoff_delay=10.0, timeout=600.0)
"""A KafkaSource without a delivery block (eventing-kafka-broker, `control-plane/pkg/reconciler/source`)."""

PING_SOURCE: Final = RetryPolicy(
    retry=5, backoff_policy="exponential", backoff_delay=0.05, timeout=600.0, judge=ping_verdict
)
"""What a PingSource does, which has no delivery block (knative/eventing, `pkg/adapter/mtping/runner.go`).

The adapter sets no timeout; 600 s is the longest that a Knative Service may take to answer.
"""
