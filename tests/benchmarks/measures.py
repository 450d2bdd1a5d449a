"""What is measured, each against a target that the README states."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import psutil
import urllib3

from shared.cli.stack_state import StackState
from shared.loadgen.connection import Target
from shared.loadgen.report import LoadReport
from shared.loadgen.requests import TransactionRequests
from shared.loadgen.run import LoadPlan, generate, run
from shared.loadgen.traffic import simulated_transactions
from shared.registry.client import RegistryClient
from shared.scoring.bundle import read_bundle
from tests.benchmarks.figure import Figure
from tests.benchmarks.lone_replica import lone_replica
from tests.benchmarks.sizing import CORE_HOUR, Sizing, processes, processor_seconds

_DISTINCT_TRANSACTIONS = 20_000
_PREDICTIONS = 5_000
_COLD_STARTS = 3
_GB = 1e9
_SETTLE_SECONDS = 90.0
_SETTLED_LAG = 30


def memory(state: StackState) -> Figure:
    """Proportional set size of every process of the running system: shared pages count once."""
    found = processes(_roots(state))
    total = 0
    for process in found.values():
        try:
            sizes = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        total += getattr(sizes, "pss", 0) or sizes.rss
    return Figure(
        name="memory of the whole system",
        value=round(total / _GB, 3),
        unit="GB",
        bound="<=",
        target=2.0,
        how=f"PSS of {len(found)} processes: supervisor, backing services, functions, as they ran before the load",
    )


def _roots(state: StackState) -> list[int]:
    return [state.pid, *(service["pid"] for service in state.backing if service.get("pid"))]


def prediction(state: StackState) -> Figure:
    """One row through the champion's predictor, as the scorer calls it."""
    registry = RegistryClient(state.mlflow_uri)
    version = registry.version_by_alias("fraud", "champion")
    if version is None:
        raise RuntimeError("the registry has no champion")
    served = read_bundle(registry.download_bundle(version)).main
    rows = np.random.default_rng(1).lognormal(3, 2, (_PREDICTIONS, 1, len(served.features))).astype(np.float32)
    took = []
    for row in rows:
        started = time.perf_counter_ns()
        served.predictor.score(row)
        took.append(time.perf_counter_ns() - started)
    return Figure(
        name="single prediction",
        value=round(statistics.median(took) / 1e3, 1),
        unit="us",
        bound="<=",
        target=20.0,
        how=f"median of {_PREDICTIONS:,} rows one by one, champion version {version.version}, one thread",
    )


def cold_start(state: StackState, manifests: Path, folder: Path) -> Figure:
    """Process start to first decision, with the last good model on disk as after any restart."""
    took = []
    for _ in range(_COLD_STARTS):
        with lone_replica(state, manifests, folder) as replica:
            took.append(replica.cold_start_seconds)
    return Figure(
        name="cold start of a scorer replica",
        value=round(statistics.median(took), 2),
        unit="s",
        bound="<=",
        target=1.5,
        how=f"process start to first decision, median of {', '.join(f'{one:.2f}' for one in took)}",
    )


def serving(state: StackState, manifests: Path, folder: Path, seconds: float) -> list[Figure]:
    """Throughput and latency of one replica, everything else of the system running."""
    with lone_replica(state, manifests, folder) as replica:
        target = Target.parse(f"{replica.url}/v1/score")
        requests = TransactionRequests(target, simulated_transactions(_DISTINCT_TRANSACTIONS, time.time_ns() % 2**31))
        _load(target, requests, seconds=2.0, rate=None, connections=16)  # warm caches and branch predictors
        _settle(state)
        steady = _load(target, requests, seconds=3 * seconds, rate=300.0, connections=256)
        _settle(state)
        alone = _load(target, requests, seconds=seconds, rate=None, connections=1)
        _settle(state)
        system, scorer = [*_roots(state), replica.pid], [replica.pid]
        before = processor_seconds(scorer), processor_seconds(system)
        busy = [_load(target, requests, seconds=seconds, rate=None, connections=16) for _ in range(3)]
        _settle(state)
        after = processor_seconds(scorer), processor_seconds(system)
        size = Sizing(sum(report.requests for report in busy), after[0] - before[0], after[1] - before[1])
    rates = sorted(report.achieved_rate for report in busy)
    return [
        Figure(
            name="decisions per second",
            value=rates[1],
            unit="/s",
            bound=">=",
            target=5_000.0,
            how=f"closed loop, 16 connections, one replica; median of {', '.join(f'{rate:,.0f}' for rate in rates)}; "
            f"p99 {busy[1].latency_ms['p99']} ms; {_failures(*busy)}",
        ),
        Figure(
            name="one connection, p50",
            value=_latency(alone, "p50"),
            unit="ms",
            bound="<=",
            target=0.8,
            how=f"closed loop, one connection, one replica; p99 {alone.latency_ms['p99']} ms; {_failures(alone)}",
        ),
        Figure(
            name="300 TPS, p99",
            value=_latency(steady, "p99"),
            unit="ms",
            bound="<=",
            target=5.0,
            how=f"open loop from the intended send time, one replica; p50 {steady.latency_ms['p50']} "
            f"p99.9 {steady.latency_ms['p99.9']} max {steady.latency_ms['max']} ms; {_failures(steady)}",
        ),
        Figure(
            name="decisions per second and scorer core",
            value=round(size.per_core()),
            unit="/s",
            how=f"from its processor time at full load, {1e6 * size.scorer / size.decisions:,.0f} us a decision",
        ),
        Figure(
            name="cost per million decisions",
            value=round(size.cost_per_million(), 3),
            unit=f"at {CORE_HOUR} a core and hour",
            how="processor time of all processes, until every event is dealt with, "
            f"{1e6 * size.system / size.decisions:,.0f} us a decision",
        ),
    ]


def _settle(state: StackState) -> None:
    """Wait until the Kafka sources have caught up with the load before: each load is to be measured by itself."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        status = urllib3.request("GET", f"{state.admin_url}/status").json()
        if status["delivery"]["lag"] < _SETTLED_LAG:
            return
        time.sleep(0.5)


def _load(
    target: Target, requests: TransactionRequests, *, seconds: float, rate: float | None, connections: int
) -> LoadReport:
    plan = LoadPlan(target=target, seconds=seconds, rate=rate, connections=connections)
    return run(lambda: generate(plan, requests))


def _latency(report: LoadReport, percentile: str) -> float:
    value = report.latency_ms[percentile]
    if value is None:
        raise RuntimeError(f"no request was answered: {dict(report.failures)}")
    return value


def _failures(*reports: LoadReport) -> str:
    failed = sum(report.failed for report in reports)
    degraded = sum(report.degraded for report in reports)
    return f"of {sum(report.requests for report in reports):,} requests {failed:,} failed, {degraded:,} degraded"
