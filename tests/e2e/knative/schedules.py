"""PingSources trigger the scheduled functions: each schedule is made every minute, until a run has ended."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.runs.store import FOLDER, RunStore
from tests.e2e.knative.cluster import Cluster, until

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
                found = until(lambda one=function: _evidence(store, one, began), PATIENCE_SECONDS,
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


def _evidence(store: RunStore, function: str, began: datetime) -> str | None:
    """A run by schedule that has ended since then, and not by an error."""
    for run in store.since(function, began):
        if run.trigger.kind == "schedule" and run.outcome in {"done", "refused", "skipped"}:
            return f"ran at {run.started:%H:%M:%S}: {run.outcome} {run.reason}".rstrip()
    return None
