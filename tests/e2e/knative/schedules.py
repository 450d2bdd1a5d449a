"""PingSources trigger the scheduled functions: each schedule is made every minute, until the function has said so."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.runs.store import FOLDER, RunStore
from tests.e2e.knative.cluster import SERVICE_LABEL, Cluster, until

SOURCES = {
    "archiver": "archiver-minutely",
    "drift": "drift-hourly",
    "promote": "promote-six-hourly",
    "train": "train-daily",
}
EVERY_MINUTE = "* * * * *"
PATIENCE_SECONDS = 240


def schedules_trigger(cluster: Cluster) -> bool:
    """Wait until every scheduled function was run by its schedule; returns whether all were."""
    usual = {name: _schedule(cluster, name) for name in SOURCES.values()}
    began = datetime.now(UTC)
    try:
        for name in SOURCES.values():
            _set(cluster, name, EVERY_MINUTE)
        with cluster.forwarded("svc/s3", 9000) as port:
            store = _run_store(cluster, port)
            for function, source in SOURCES.items():
                found = until(lambda one=function: _evidence(cluster, store, one, began), PATIENCE_SECONDS,
                              f"{function} to be run by {source}")  # fmt: skip
                print(f"{source} (usually {usual[source]!r}): {function} {found}")
    finally:
        for name, schedule in usual.items():
            _set(cluster, name, schedule)
    return True


def _schedule(cluster: Cluster, source: str) -> str:
    return cluster.kubectl("get", "pingsource", source, "-o", "jsonpath={.spec.schedule}")


def _set(cluster: Cluster, source: str, schedule: str) -> None:
    cluster.kubectl(
        "patch", "pingsource", source, "--type", "merge", "-p", json.dumps({"spec": {"schedule": schedule}})
    )


def _run_store(cluster: Cluster, port: int) -> RunStore:
    os.environ.update(cluster.secret("fraud-s3"))
    return RunStore(Objects(LakeSettings(aws_endpoint_url=f"http://127.0.0.1:{port}"), FOLDER))


def _evidence(cluster: Cluster, store: RunStore, function: str, began: datetime) -> str | None:
    """What shows that the function ran by its schedule since then."""
    for run in store.since(function, began):
        if run.trigger.kind == "schedule":
            return f"ran at {run.started:%H:%M:%S}: {run.outcome} {run.reason}".rstrip()
    # Without a record of its run a function still says in its log what it did.
    since = f"--since-time={began:%Y-%m-%dT%H:%M:%SZ}"
    selector = f"{SERVICE_LABEL}={function}"
    lines = cluster.kubectl("logs", "-l", selector, "-c", "user-container", since, "--tail=-1").splitlines()
    said = [line for line in lines if f'"functions.{function}' in line]
    return f"said {json.loads(said[-1])['message']!r}" if said else None
