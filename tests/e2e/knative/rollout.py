"""A new revision, and then a new model, under load: no request may fail, and the new ones must answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from shared.loadgen.recorder import RunRecorder
from shared.loadgen.report import LoadReport
from shared.loadgen.run import run
from shared.registry.aliases import CHAMPION, AliasRegistry
from tests.e2e.knative.cluster import Cluster, until
from tests.e2e.knative.load import SCORER, heading, plan, send
from tests.e2e.verify_swap import MODEL, AnswerRecorder, find_versions

PATIENCE_SECONDS = 120
AFTER_SECONDS = 5
LOAD_SECONDS = 60


def new_revision(cluster: Cluster, rate: float) -> bool:
    """Roll out a revision under load; returns whether no request failed and the new revision took over."""
    before = cluster.service(SCORER)["status"]["latestReadyRevisionName"]
    moments: dict[str, float] = {}

    def roll_out() -> None:
        time.sleep(AFTER_SECONDS)
        began = time.monotonic()
        cluster.annotate(SCORER, "fraud.dev/rolled-out", str(time.time_ns()))
        until(lambda: _serves_another(cluster, before), PATIENCE_SECONDS, "the new revision to take the traffic")
        moments["taken over"] = time.monotonic() - began

    report = _load_while(cluster, rate, roll_out, RunRecorder())
    took = ", ".join(f"{what} after {seconds:.0f} s" for what, seconds in moments.items())
    print(f"new revision under {rate:g}/s: {took}; {report.failed} of {report.requests:,} requests failed, "
          f"{report.degraded} degraded, p99 {report.latency_ms['p99']:.1f} ms")  # fmt: skip
    return not report.failed


def new_model(cluster: Cluster, rate: float) -> bool:
    """Make another version champion under load, and the first one again."""
    recorder = AnswerRecorder()
    with cluster.forwarded("svc/mlflow", 5000) as port:
        address = f"http://127.0.0.1:{port}"
        first, other = find_versions(AliasRegistry(address))

        def swap() -> None:
            for version in (other.version, first.version):
                time.sleep(AFTER_SECONDS)
                # A connection of its own: the server closes one that rested.
                AliasRegistry(address).set_alias(MODEL, CHAMPION, version)
                until(lambda wanted=version: recorder.version[-200:] == [wanted] * 200, PATIENCE_SECONDS,
                      f"version {version} to answer everywhere")  # fmt: skip

        report = _load_while(cluster, rate, swap, recorder)
    answers = ", ".join(f"{count:,} by version {name}" for name, count in sorted(Counter(recorder.version).items()))
    print(f"new model and back under {rate:g}/s: {answers}; {report.failed} of {report.requests:,} requests failed, "
          f"p99 {report.latency_ms['p99']:.1f} ms")  # fmt: skip
    return not report.failed


def _load_while(cluster: Cluster, rate: float, work: Callable[[], None], recorder: RunRecorder) -> LoadReport:
    """Do the work under load, which it must not outlast."""

    async def both() -> LoadReport:
        loading = asyncio.create_task(send(cluster, plan(cluster, rate, LOAD_SECONDS, 128), recorder))
        working = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.wait({loading, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise TimeoutError(f"not done after {LOAD_SECONDS} s of load")
        await working
        return await loading

    heading()
    return run(both)


def _serves_another(cluster: Cluster, revision: str) -> bool:
    status = cluster.service(SCORER)["status"]
    traffic = [one["revisionName"] for one in status["traffic"] if one.get("percent")]
    return status["latestReadyRevisionName"] != revision and traffic == [status["latestReadyRevisionName"]]
