"""The result of a run, as a document and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.loadgen.recorder import RunRecorder, Second

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What a run measured; latencies in milliseconds, from the intended send time in an open loop.

    Attributes:
        mode: "open" (a schedule that does not wait for answers) or "closed" (each connection waits for its answer).
        target_rate: Requests due per second; None in a closed loop.
        seconds: From the first request due to the last answer.
        achieved_rate: Answers per second over all of it.
        requests: Requests due.
        answered: Answers, whatever the status.
        failed: Requests without an answer or with a status of 400 or more.
        statuses: Answers by HTTP status.
        failures: Requests without an answer, by cause: "connect", "disconnected", "timeout", "unsent".
        degraded: Decisions made without the card's history; they are cheaper, so latencies with many of them flatter.
        reconnected: Requests sent once more because their reused connection had been closed before any answer.
        late: Requests sent 10 ms or more after they were due; their latencies include the wait.
        late_by_generator: Those of them for which a connection had been free: this machine was too slow, and the
            latencies say more about it than about the server.
        connections: Connections opened.
        latency_ms: "p50", "p90", "p99", "p99.9", "max", "mean".
        timeline: Each second of the run.
        replicas: (second since the start, replicas) where the number changed, if the admin interface tells.
    """

    mode: str
    target_rate: float | None
    seconds: float
    achieved_rate: float
    requests: int
    answered: int
    failed: int
    statuses: Mapping[str, int]
    failures: Mapping[str, int]
    degraded: int
    reconnected: int
    late: int
    late_by_generator: int
    connections: int
    latency_ms: Mapping[str, float | None]
    timeline: Sequence[Second] = ()
    replicas: Sequence[tuple[float, int]] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return asdict(self)


def latency_summary(recorder: RunRecorder) -> dict[str, float | None]:
    """Return percentiles, maximum and mean in milliseconds; None without any latency."""
    histogram = recorder.latencies
    summary = {f"p{percent:g}": _milliseconds(histogram.percentile(percent)) for percent in PERCENTILES}
    summary["max"] = _milliseconds(histogram.largest or None)
    summary["mean"] = _milliseconds(histogram.mean)
    return summary


def _milliseconds(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e6, 3)
