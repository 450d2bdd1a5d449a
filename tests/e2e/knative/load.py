"""Open-loop load through a cluster's ingress, with the scorer's replicas beside it."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from shared.loadgen.connection import Target
from shared.loadgen.recorder import RunRecorder, Second
from shared.loadgen.replicas import ReplicaWatch, ServiceState
from shared.loadgen.report import LoadReport
from shared.loadgen.requests import TransactionRequests
from shared.loadgen.run import LoadPlan, generate
from shared.loadgen.traffic import simulated_transactions
from tests.e2e.knative.cluster import Cluster, Refused

SCORER = "scorer"
DISTINCT = 5_000


class PodWatch(ReplicaWatch):
    """Asks the cluster instead of the emulator."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def state(self) -> ServiceState | None:
        try:
            return ServiceState(await asyncio.to_thread(self._cluster.replicas, SCORER), 1)
        except Refused:
            return None


def plan(cluster: Cluster, rate: float, seconds: float, connections: int) -> LoadPlan:
    target = replace(Target.parse(f"{cluster.ingress}/v1/score"), named=cluster.host(SCORER))
    return LoadPlan(
        target=target, seconds=seconds, rate=rate, arrivals="poisson", connections=connections,
        drain_seconds=20.0, seed=secrets.randbits(32),
    )  # fmt: skip


async def send(cluster: Cluster, what: LoadPlan, recorder: RunRecorder | None = None) -> LoadReport:
    """Send a load and print each second of it."""
    requests = TransactionRequests(what.target, simulated_transactions(DISTINCT, seed=secrets.randbits(31)))
    return await generate(what, requests, watch=PodWatch(cluster), on_second=_show, recorder=recorder)


def heading() -> None:
    print(f"{'second':>6} {'answered':>9} {'failed':>7} {'p50 ms':>8} {'p99 ms':>8} {'waiting':>8} {'replicas':>8}")


def _show(second: Second) -> None:
    print(
        f"{second.second:>6} {second.answered:>9,} {second.failed:>7,} {second.p50_ms or 0:>8.1f} "
        f"{second.p99_ms or 0:>8.1f} {second.in_flight:>8,} {second.replicas or 0:>8}",
        flush=True,
    )
