"""One run of the promote function as a process of its own: `python -m functions.promote.job REQUEST`."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.promote.request import PromoteRequest
from functions.promote.settings import PromoteSettings
from shared.contracts import cloudevents
from shared.contracts.event_time import now_milliseconds, to_rfc3339
from shared.contracts.model import Action, ModelEvent
from shared.features.definition import DAY_MS
from shared.hosts.job import JobOutcome, JobRequest, serve
from shared.telemetry import tracing

if TYPE_CHECKING:
    from shared.registry.client import ModelVersion
    from shared.runs.alone import Alone

_log = logging.getLogger(__name__)

FUNCTION: Final = "promote"
EVERY: Final = timedelta(hours=6)
_PARITY_SINCE: Final = timedelta(days=1)
_PROMISED: Final = "average_precision"
_CUT: Final = "dataset_cut"


def run(request: JobRequest) -> JobOutcome:
    """Weigh the challenger, or roll back, and say what came of it."""
    # In the process that does the work alone: boto3, Arrow and NumPy.
    from functions.promote.steps import NothingToRollBack, RegistryMoved  # noqa: PLC0415
    from shared.lake.settings import LakeSettings  # noqa: PLC0415
    from shared.registry.errors import RegistryUnavailable  # noqa: PLC0415
    from shared.runs.alone import Errors, RunsAlone  # noqa: PLC0415

    settings, lake_settings = PromoteSettings(), LakeSettings()
    asked = PromoteRequest.model_validate(request.asked)

    def work(alone: Alone) -> dict[str, Any]:
        run = _Run(settings, lake_settings, alone.store, asked.as_of_ms(now_milliseconds()))
        document = run.roll_back() if asked.action == "rollback" else run.weigh(alone.run.inputs)
        if document["verdict"] is None:
            alone.run.skip("; ".join(document["reasons"]))
        return document

    errors = Errors(refused=(NothingToRollBack,), away=(RegistryUnavailable, RegistryMoved))
    return RunsAlone(lake_settings, FUNCTION, every=EVERY, errors=errors).do(request.trigger, work)


class _Run:
    """One run with its connections."""

    def __init__(self, settings: PromoteSettings, lake_settings: Any, runs: Any, as_of_ms: int) -> None:
        from shared.registry.aliases import AliasRegistry  # noqa: PLC0415

        self._settings = settings
        self._lake_settings = lake_settings
        self._runs = runs
        self._as_of_ms = as_of_ms
        self._registry = AliasRegistry(settings.mlflow_tracking_uri)

    def weigh(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Gather the evidence, judge it and carry the verdict out.

        Raises:
            LakeAway: The storage does not answer.
            RegistryUnavailable: The registry does not answer.
            RegistryMoved: An alias was moved meanwhile.
        """
        from functions.promote.evidence import weigh  # noqa: PLC0415
        from functions.promote.shadows import read_pairs  # noqa: PLC0415
        from functions.promote.steps import carry_out, take_challenger_away  # noqa: PLC0415
        from functions.promote.verdict import Rules, document, judge  # noqa: PLC0415
        from shared.lake.lake import Lake  # noqa: PLC0415

        settings, name = self._settings, self._settings.fraud_model_name
        champion = self._registry.version_by_alias(name, "champion")
        challenger = self._registry.version_by_alias(name, "challenger")
        if champion is None or challenger is None:
            return _nothing(f"{name} has no {'challenger' if champion else 'champion'}")
        if champion.version == challenger.version:  # a promotion that was cut off before its last step
            take_challenger_away(self._registry, challenger)
            return _nothing(f"version {champion.version} is the champion already")
        background = self._background(champion, challenger)
        inputs.update(champion=champion.version, challenger=challenger.version, **asdict(background))
        inputs["as_of"] = to_rfc3339(self._as_of_ms)
        pairs = read_pairs(
            Lake.open(self._lake_settings),
            champion.version,
            challenger.version,
            as_of_ms=self._as_of_ms,
            days=settings.fraud_promote_days,
            horizon_ms=round(settings.fraud_label_horizon_days * DAY_MS),
        )
        evidence = weigh(pairs, settings.fraud_false_alarm_cost)
        rules = Rules(
            settings.fraud_promote_least_frauds,
            settings.fraud_promote_precision_tolerance,
            settings.fraud_promote_money_tolerance,
        )
        verdict = judge(evidence, background, rules)
        carry_out(self._registry, champion, challenger, verdict, self._as_of_ms)
        self._announce(challenger, verdict.decision, verdict.reasons)
        return {
            "verdict": verdict.decision,
            "version": challenger.version,
            "champion": challenger.version if verdict.decision == "promoted" else champion.version,
            "reasons": verdict.reasons,
            "evidence": document(evidence),
        }

    def roll_back(self) -> dict[str, Any]:
        """Make the previous champion the champion again.

        Raises:
            NothingToRollBack: There is none.
            RegistryUnavailable: The registry does not answer.
        """
        from functions.promote.steps import roll_back  # noqa: PLC0415

        champion, former = roll_back(self._registry, self._settings.fraud_model_name, self._as_of_ms)
        reasons = [f"version {champion.version} was made the champion again"]
        self._announce(former, "rolled_back", reasons)
        return {
            "verdict": "rolled_back",
            "version": former.version,
            "champion": champion.version,
            "reasons": reasons,
            "evidence": None,
        }

    def _background(self, champion: ModelVersion, challenger: ModelVersion) -> Any:
        from functions.promote.verdict import Background  # noqa: PLC0415
        from shared.parity.evidence import parity_since  # noqa: PLC0415

        parity = parity_since(self._runs, datetime.now(UTC) - _PARITY_SINCE)
        promised = [one.tags.get(_PROMISED) for one in (champion, challenger)]
        return Background(
            promised=(_number(promised[0]), _number(promised[1])),
            cut=(champion.tags.get(_CUT), challenger.tags.get(_CUT)),
            parity_mismatches=parity.decisions_wrong if parity.runs else None,
        )

    def _announce(self, version: ModelVersion, action: Action, reasons: list[str]) -> None:
        from shared.bus import topics  # noqa: PLC0415
        from shared.bus.announcement import announce  # noqa: PLC0415

        now_ms, trace = now_milliseconds(), tracing.current()
        data = ModelEvent.model_validate(
            {
                "name": version.name,
                "version": version.version,
                "alias": {"promoted": "champion", "kept": "challenger", "rolled_back": "previous"}.get(action),
                "action": action,
                "reasons": reasons,
                "run_id": version.run_id,
                "occurred_at": to_rfc3339(now_ms),
            }
        )
        event = cloudevents.Event(
            id=f"{version.name}-{version.version}-{version.run_id}-{action}-{now_ms}",
            source="/fraud/promote",
            type=cloudevents.MODEL,
            data=data.model_dump_json().encode(),
            subject=f"{version.name}/{version.version}",
            time=cloudevents.event_time(now_ms),
            partition_key=version.name,
            traceparent=trace.traceparent if trace else None,
        )
        folder = self._settings.fraud_state_dir / "outbox"
        if not asyncio.run(announce(self._settings.kafka_bootstrap_servers, folder, [(topics.MODELS, event)])):
            _log.warning("the model event waits in the journal: Kafka does not take it")


def _nothing(reason: str) -> dict[str, Any]:
    return {"verdict": None, "version": None, "champion": None, "reasons": [reason], "evidence": None}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


if __name__ == "__main__":
    serve(FUNCTION, run, {})
