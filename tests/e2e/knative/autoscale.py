"""Scales the scorer by load: one replica, as many as it may have, and back to one, with no request failed.

    make kind-autoscale-demo RATE=1000

The load is open-loop: requests are due whether or not earlier ones were answered, and latencies count from when they
were due. Replicas and the latency of each second are printed as they come and kept as a picture.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
from matplotlib.figure import Figure

from shared.loadgen.recorder import Second
from shared.loadgen.report import LoadReport
from shared.loadgen.run import run
from tests.e2e.knative.autoscaler_inputs import AutoscalerWatch
from tests.e2e.knative.cluster import Cluster, add_options, chosen, until
from tests.e2e.knative.load import SCORER, heading, plan, send
from tests.support.knative.autoscaling import Trace, disagreements, told

FALL_BACK_SECONDS = 300
PICTURE = Path(".fraud") / "autoscale.png"


@dataclass
class Outcome:
    """What the load and the time after it showed."""

    report: LoadReport
    most: int
    back_after: float | None
    replicas: list[tuple[float, int]]
    autoscaler: Trace

    @property
    def worst(self) -> Second:
        """The second with the longest 99th percentile."""
        return max(self.report.timeline, key=lambda second: second.p99_ms or 0.0)

    def verdict(self, wanted: int) -> list[str]:
        """What was promised and not kept."""
        broken = []
        if self.report.failed:
            broken.append(f"{self.report.failed} requests failed: {self.report.failures} {self.report.statuses}")
        if self.most < wanted:
            broken.append(f"{self.most} replicas at most, not {wanted}")
        if self.back_after is None:
            broken.append(f"not back to one replica within {FALL_BACK_SECONDS} s")
        return broken + disagreements(self.autoscaler)


def scale(cluster: Cluster, rate: float, seconds: float, connections: int) -> Outcome:
    """Wait for one replica alone, send the load, then wait until the replicas have fallen back."""
    until(lambda: cluster.replicas(SCORER) == 1, FALL_BACK_SECONDS, "one replica before the load")
    began = time.monotonic()
    with AutoscalerWatch(cluster, SCORER) as watch:
        report = run(lambda: send(cluster, plan(cluster, rate, seconds, connections)))
        print("the load is over; waiting for the replicas to fall back", flush=True)
        ended = time.monotonic()
        replicas = list(report.replicas)
        back_after = None
        while time.monotonic() - ended < FALL_BACK_SECONDS:
            now = cluster.replicas(SCORER)
            if not replicas or now != replicas[-1][1]:
                replicas.append((round(report.seconds + time.monotonic() - ended, 1), now))
                print(f"{time.monotonic() - began:>6.0f} s  {now} replicas", flush=True)
            if now == 1:
                back_after = time.monotonic() - ended
                break
            time.sleep(1)
    template = cluster.service(SCORER)["spec"]["template"]
    limit = template["spec"].get("containerConcurrency", 0)
    trace = Trace(template["metadata"]["annotations"], limit, watch.readings)
    most = max((count for _, count in replicas), default=0)
    return Outcome(report, most, back_after, replicas, trace)


def keep(outcome: Outcome, rate: float, file: Path = PICTURE) -> None:
    """Write the picture and, beside it, the autoscaler's decisions, which a unit test can replay."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draw(outcome, file, rate)
    decisions = file.with_suffix(".json")
    decisions.write_bytes(orjson.dumps(outcome.autoscaler))
    print(f"picture: {file}, the autoscaler's decisions: {decisions}")


def draw(outcome: Outcome, file: Path, rate: float) -> None:
    """Replicas over time above the 99th percentile of each second."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    end = max(outcome.report.seconds, *(second for second, _ in outcome.replicas)) + 5
    steps = [*outcome.replicas, (end, outcome.replicas[-1][1])]
    above.step([second for second, _ in steps], [count for _, count in steps], where="post")
    above.set_ylabel("ready replicas")
    above.set_ylim(0, outcome.most + 1)
    above.grid(alpha=0.3)
    above.set_title(
        f"{rate:g} transactions per second due, {outcome.report.failed} of {outcome.report.requests} failed"
    )
    timeline = [second for second in outcome.report.timeline if second.p99_ms is not None]
    below.plot([second.second for second in timeline], [second.p99_ms for second in timeline], label="p99")
    below.plot([second.second for second in timeline], [second.p50_ms for second in timeline], label="p50")
    below.set_yscale("log")
    below.set_ylabel("latency of a second, ms")
    below.set_xlabel("seconds")
    below.grid(alpha=0.3)
    below.legend()
    figure.savefig(file, dpi=110)


def say(outcome: Outcome, wanted: int) -> bool:
    """Print what happened; returns whether every promise was kept."""
    report, worst = outcome.report, outcome.worst
    print(f"{report.answered:,} answered of {report.requests:,} due in {report.seconds:.0f} s "
          f"({report.achieved_rate:,.0f}/s), {report.failed} failed, {report.degraded} degraded")  # fmt: skip
    latency = ", ".join(f"{name} {value:.1f}" for name, value in report.latency_ms.items() if value is not None)
    print(f"latency from when a request was due, ms: {latency}")
    print(f"worst second: {worst.second}, p99 {worst.p99_ms:.1f} ms at {worst.replicas} replicas")
    print("ready replicas: " + ", ".join(f"{second:g} s: {count}" for second, count in outcome.replicas))
    if outcome.back_after is not None:
        print(f"back to one replica {outcome.back_after:.0f} s after the load")
    seen = sum(map(len, told(outcome.autoscaler.readings).values()))
    differ = len(disagreements(outcome.autoscaler))
    print(f"autoscaler: {seen} of its decisions seen, {differ} that the emulator would not make")
    broken = outcome.verdict(wanted)
    for line in broken:
        print(f"NOT KEPT: {line}")
    if not broken:
        print(f"kept: 1 -> {outcome.most} -> 1 replicas, no request failed")
    return not broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--rate", type=float, default=1_000, help="transactions per second that are due")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=128, help="most requests under way at once")
    parser.add_argument("--replicas", type=int, default=8, help="replicas that must be reached")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    with chosen(options).watched() as cluster:
        heading()
        outcome = scale(cluster, options.rate, options.seconds, options.connections)
        keep(outcome, options.rate, options.picture)
        return 0 if say(outcome, options.replicas) else 1


if __name__ == "__main__":
    sys.exit(main())
