"""One run of the drift function as a process of its own: `python -m functions.drift.job REQUEST`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from functions.drift.errors import NoVerdict
from functions.drift.request import DriftRequest
from functions.drift.settings import DriftSettings
from shared.contracts.event_time import now_milliseconds
from shared.hosts.job import JobOutcome, JobRequest, serve

if TYPE_CHECKING:
    from shared.runs.alone import Alone

_log = logging.getLogger(__name__)

FUNCTION: Final = "drift"
EVERY: Final = timedelta(hours=1)
REFERENCE_PATH: Final = "reference/reference.parquet"
REPORTS: Final = "reports"
_REMEMBERED: Final = timedelta(days=7)
_FROM_THE_LAKE: Final = "dataset_versions"
"""Tag of versions that learned from the lake: tables with their versions, as JSON; empty for a simulated history."""

ENVIRONMENT: Final = {"DO_NOT_TRACK": "1"}  # Evidently sends usage data otherwise


def run(request: JobRequest) -> JobOutcome:
    """Judge one window and say what came of it."""
    # In the process that does the work alone: boto3, Arrow and Evidently.
    from shared.lake.settings import LakeSettings  # noqa: PLC0415
    from shared.registry.errors import RegistryUnavailable  # noqa: PLC0415
    from shared.runs.alone import Errors, RunsAlone  # noqa: PLC0415

    settings, lake_settings = DriftSettings(), LakeSettings()
    end_ms = DriftRequest.model_validate(request.asked).end_ms(now_milliseconds())

    def work(alone: Alone) -> dict[str, Any]:
        try:
            return _Run(settings, lake_settings, alone.store, alone.run.run_id).judge(end_ms, alone.run.inputs)
        except NoVerdict as none:
            alone.run.skip(f"no verdict: {none}")
            return {"outcome": "no verdict", "reason": str(none), "window_end_ms": end_ms}

    runs = RunsAlone(lake_settings, FUNCTION, every=EVERY, errors=Errors(away=(RegistryUnavailable,)))
    return runs.do(request.trigger, work)


class _Run:
    """One run with its connections."""

    def __init__(self, settings: DriftSettings, lake_settings: Any, runs: Any, run_id: str) -> None:
        self._settings = settings
        self._lake_settings = lake_settings
        self._runs = runs
        self._run_id = run_id

    def judge(self, end_ms: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Judge the window that ends at a moment, write its report, announce what is new.

        Raises:
            NoVerdict: There is nothing to judge, or nothing to judge it by.
            LakeAway: The storage does not answer.
            RegistryUnavailable: The registry does not answer.
        """
        from functions.drift.recall import Spans, compare_recall  # noqa: PLC0415
        from functions.drift.samples import read_reference, read_window, stream_start  # noqa: PLC0415
        from functions.drift.verdict import judge, not_yet_announced  # noqa: PLC0415
        from shared.features.catalogue import CATALOGUE  # noqa: PLC0415
        from shared.lake.lake import Lake  # noqa: PLC0415

        settings, lake = self._settings, Lake.open(self._lake_settings)
        version, data, from_lake = self._champion()
        inputs["champion"] = version
        started_ms = stream_start(lake)
        inputs["decisions"] = lake.version("decisions")
        reference, names = read_reference(data, started_ms if from_lake else None)
        window = read_window(
            lake,
            end_ms - round(settings.fraud_drift_hours * 3_600_000),
            end_ms,
            names=names,
            model_version=version,
            stream_start_ms=started_ms,
        )
        spans = Spans.of_days(
            settings.fraud_drift_recall_days,
            settings.fraud_drift_recall_days_before,
            settings.fraud_drift_recall_least_frauds,
        )
        recall = compare_recall(lake, version, end_ms, spans)
        verdict = judge(reference, window, CATALOGUE, version, settings.fraud_drift_least_rows, recall)
        document = {**verdict.document(), "window_end_ms": end_ms}
        from functions.drift.report import make_report  # noqa: PLC0415

        page, details = make_report(verdict, reference)
        document["report"] = self._store(end_ms, page, details, document)
        announce = bool(verdict.findings) and not_yet_announced(
            verdict.findings, version, end_ms, self._announced(), settings.fraud_drift_debounce_hours
        )
        document["announced"] = announce and self._announce(document)
        return document

    def _champion(self) -> tuple[str, bytes, bool]:
        """Return the champion's version, its reference, and whether it learned from the lake."""
        from shared.registry.client import RegistryClient  # noqa: PLC0415
        from shared.scoring.errors import BundleError  # noqa: PLC0415

        client, name = RegistryClient(self._settings.mlflow_tracking_uri), self._settings.fraud_model_name
        champion = client.version_by_alias(name, "champion")
        if champion is None:
            raise NoVerdict(f"{name} has no champion")
        try:
            data = client.download_artifact(champion, REFERENCE_PATH)
        except BundleError as error:
            raise NoVerdict(str(error)) from error
        if data is None:
            raise NoVerdict(f"version {champion.version} was registered without {REFERENCE_PATH}")
        tables = orjson.loads(champion.tags.get(_FROM_THE_LAKE) or "{}")
        return champion.version, data, bool(tables)

    def _store(self, end_ms: int, page: str, details: str, document: dict[str, Any]) -> str:
        """Write the report beside the lake's tables and return the HTML page's address."""
        from shared.lake.objects import Objects  # noqa: PLC0415

        objects = Objects(self._lake_settings, REPORTS)
        moment = datetime.fromtimestamp(end_ms / 1000, UTC)
        base = f"drift/{moment:%Y-%m-%d/%H%M%S}-{self._run_id}"
        objects.put(f"{base}/report.json", details.encode())
        objects.put(f"{base}/verdict.json", orjson.dumps(document))
        objects.put(f"{base}/report.html", page.encode())
        return f"{self._lake_settings.root}/{REPORTS}/{base}/report.html"

    def _announced(self) -> list[dict[str, Any]]:
        since = datetime.now(UTC) - _REMEMBERED
        return [
            {
                "model_version": one.outputs["model_version"],
                "end_ms": one.outputs["window_end_ms"],
                "findings": [finding["name"] for finding in one.outputs["findings"]],
            }
            for one in self._runs.since(FUNCTION, since)
            if one.outputs.get("announced")
        ]

    def _announce(self, document: dict[str, Any]) -> bool:
        """Publish the drift event; its id is the same for the same findings of the same window."""
        from shared.bus import topics  # noqa: PLC0415
        from shared.bus.announcement import announce  # noqa: PLC0415
        from shared.contracts import cloudevents  # noqa: PLC0415
        from shared.contracts.drift import Drift  # noqa: PLC0415
        from shared.telemetry import tracing  # noqa: PLC0415

        data = Drift.model_validate(
            {
                "window_start": document["window_start"],
                "window_end": document["window_end"],
                "rows": document["volume"]["rows"],
                "model_version": document["model_version"],
                "findings": document["findings"],
                "report_uri": document["report"],
            }
        )
        names = ",".join(sorted(finding.name for finding in data.findings))
        digest = hashlib.blake2b(f"{document['window_end']} {names}".encode(), digest_size=8).hexdigest()
        trace = tracing.current()
        event = cloudevents.Event(
            id=f"drift-{document['model_version']}-{digest}",
            source="/fraud/drift",
            type=cloudevents.DRIFT,
            data=data.model_dump_json().encode(),
            subject=f"{self._settings.fraud_model_name}/{document['model_version']}",
            time=cloudevents.event_time(now_milliseconds()),
            partition_key=self._settings.fraud_model_name,
            traceparent=trace.traceparent if trace else None,
        )
        folder = self._settings.fraud_state_dir / "outbox"
        delivered = asyncio.run(announce(self._settings.kafka_bootstrap_servers, folder, [(topics.DRIFT, event)]))
        if not delivered:
            _log.warning("the drift event waits in the journal: Kafka does not take it")
        return True


if __name__ == "__main__":
    serve(FUNCTION, run, ENVIRONMENT)
