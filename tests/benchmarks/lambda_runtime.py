"""Measures the scorer as a Lambda function: `python -m tests.benchmarks.lambda_runtime`, or `make bench-lambda`.

The handler runs under `awslambdaric`, the official runtime interface client, against embedded backing services that are
started for this. A cold start begins with an empty folder: the model comes from the registry, as in a new execution
environment. What Lambda itself adds (fetching the image, the network) is not in the figures.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import psutil

from localstack.pump import http_api
from localstack.pump.invokers import RuntimeInterface
from shared.loadgen.traffic import simulated_transactions
from tests.benchmarks.figure import machine
from tests.e2e.hosts import champion
from tests.support.backing import SessionBacking
from tests.support.hosts import ROOT, lambda_functions
from tests.support.registry.versions import register_version

COLD_STARTS = 7
WARM = 3_000
_TIMEOUT_SECONDS = 30.0


def main() -> int:
    size = machine()
    scorer = lambda_functions()["scorer"]
    with tempfile.TemporaryDirectory(prefix="bench-lambda-") as name:
        home = Path(name)
        backing = SessionBacking(home / "backing")
        try:
            environment: dict[str, str] = {}
            for service in ("redis", "kafka", "s3", "mlflow"):
                environment |= backing.environment(service)
            model = champion.trained(home)
            register_version(environment["MLFLOW_TRACKING_URI"], "fraud", model.data, "champion")
            events = [_event(one.to_wire()) for one in simulated_transactions(WARM + COLD_STARTS, seed=3)]
            colds = [
                _cold(scorer.handler, environment, home / f"cold-{number}", events[number])
                for number in range(COLD_STARTS)
            ]
            warm, memory = _warm(scorer.handler, environment, home / "warm", events[COLD_STARTS:])
        finally:
            backing.stop()
    print(f"{size['processor']}, {size['cores']} cores, Python {size['python']}, load {size['load_average_before'][0]}")
    print(
        f"cold start to the first decision, median of {COLD_STARTS}: {statistics.median(colds):.2f} s"
        f" (least {min(colds):.2f}, most {max(colds):.2f})"
    )
    cuts = statistics.quantiles(warm, n=100)
    print(f"warm invocation, {len(warm):,}: p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms")
    print(f"memory of the process: {memory / 1e6:.0f} MB of the template's {scorer.memory_mb} MB")
    return 0


def _event(document: dict[str, Any]) -> dict[str, Any]:
    return http_api.event("POST", "/v1/score", {"content-type": "application/json"}, orjson.dumps(document))


def _cold(handler: str, environment: dict[str, str], folder: Path, event: dict[str, Any]) -> float:
    """Seconds from the start of the process to the first decision."""
    folder.mkdir()
    began = time.perf_counter()
    with _started(handler, environment, folder) as function:
        _decided(function.invoke(event))
        return time.perf_counter() - began


def _warm(
    handler: str, environment: dict[str, str], folder: Path, events: Sequence[dict[str, Any]]
) -> tuple[list[float], int]:
    """Seconds of each invocation, one after the other, the first hundred aside; and the memory at the end."""
    folder.mkdir()
    times = []
    with _started(handler, environment, folder) as function:
        for event in events:
            began = time.perf_counter()
            _decided(function.invoke(event))
            times.append(time.perf_counter() - began)
        memory = psutil.Process(function.pid).memory_info().rss
    return times[100:], memory


def _started(handler: str, environment: dict[str, str], folder: Path) -> RuntimeInterface:
    function = {**environment, "FRAUD_STATE_DIR": str(folder / "state")}
    return RuntimeInterface(handler, function, ROOT, _TIMEOUT_SECONDS, folder / "log")


def _decided(result: dict[str, Any]) -> None:
    if result["statusCode"] != 200:
        raise RuntimeError(f"no decision: {result}")


if __name__ == "__main__":
    sys.exit(main())
