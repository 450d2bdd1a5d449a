"""Live figures of a running system: from the emulator's admin interface, Kafka and MLflow."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.cli.stack_state import StackState

if TYPE_CHECKING:
    import aiohttp
    from prometheus_client.metrics_core import Metric

_TIMEOUT_SECONDS: Final = 3.0
_SCORER: Final = "scorer"
_SHADOW: Final = "shadow-scorer"


@dataclass(frozen=True)
class Figures:
    """What `fraud status` tells; None where the source did not answer.

    Attributes:
        home: State folder.
        phase: The supervisor's phase.
        first_decision_seconds: From the supervisor's start to the first decision.
        functions: One entry per function and program: name, url, desired, ready, restarts, failure, lag,
            memory_bytes.
        backing: One entry per backing service: name, address, state, external, pid, restarts, reason, memory_bytes.
        decisions: Counters of the scorer since it was started: total, by_decision, by_model, degraded.
        decisions_recorded: Decision events that Kafka holds.
        fraud_share: Share of the decisions that were not "approve".
        shadow: compared, agreement_percent, alerts, alert_agreement_percent for the present pair of models.
        dead_letters: Records in the dead-letter topic.
        events_dropped: Events lost beyond a function's buffer.
        memory_bytes: Proportional set size of all processes, the supervisor's included.
        models: One entry per aliased version: version, aliases.
        drift: Outputs of the last run of the drift function; None when it has not run.
        promotion: The same of the promote function.
        problems: Sources that did not answer, and why.
    """

    home: str
    phase: str
    first_decision_seconds: float | None
    functions: list[dict[str, Any]] | None
    backing: list[dict[str, Any]]
    decisions: dict[str, Any] | None
    decisions_recorded: int | None
    fraud_share: float | None
    shadow: dict[str, Any] | None
    dead_letters: int | None
    events_dropped: int | None
    memory_bytes: int
    models: list[dict[str, Any]] | None
    drift: dict[str, Any] | None
    promotion: dict[str, Any] | None
    problems: list[str]

    def document(self) -> dict[str, Any]:
        """Return the figures as a JSON document."""
        return dataclasses.asdict(self)


def sum_metric(text: str, name: str, **labels: str) -> float:
    """Add up the samples called `name` that carry these labels, in Prometheus' text format."""
    return sum(
        sample.value
        for family in _families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def sum_by(text: str, name: str, label: str) -> dict[str, float]:
    """Add up the samples called `name` by the value of one label."""
    sums: dict[str, float] = {}
    for family in _families(text):
        for sample in family.samples:
            if sample.name == name:
                sums[sample.labels.get(label, "")] = sums.get(sample.labels.get(label, ""), 0.0) + sample.value
    return sums


def _families(text: str) -> list[Metric]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    return list(text_string_to_metric_families(text))


async def collect(state: StackState) -> Figures:
    """Ask all sources side by side; one that does not answer leaves its figures empty and is named."""
    import aiohttp  # noqa: PLC0415

    problems: list[str] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)) as http:
        status, scorer, shadow, topics, models, runs = await asyncio.gather(
            _json(http, f"{state.admin_url}/status", problems),
            _text(http, f"{state.admin_url}/services/{_SCORER}/metrics", problems),
            _text(http, f"{state.admin_url}/services/{_SHADOW}/metrics", problems),
            _topic_sizes(state.kafka, problems),
            _models(state.mlflow_uri, problems),
            asyncio.to_thread(_last_runs, state, problems),
        )
    decisions = None if scorer is None else _decisions(scorer)
    functions = [] if status is None else _functions(status)
    backing = [dict(service) | {"memory_bytes": _memory(service.get("pid"))} for service in state.backing]
    memory = sum(one["memory_bytes"] or 0 for one in (*functions, *backing)) + (_memory(state.pid) or 0)
    texts = [text for text in (scorer, shadow) if text is not None]
    return Figures(
        home=str(state.home),
        phase=state.phase,
        first_decision_seconds=state.first_decision_seconds,
        functions=None if status is None else functions,
        backing=backing,
        decisions=decisions,
        decisions_recorded=None if topics is None else topics["decisions"],
        fraud_share=None if decisions is None else _alert_share(decisions),
        shadow=None if shadow is None else _shadow(shadow),
        dead_letters=None if topics is None else topics["dead_letters"],
        events_dropped=int(sum(sum_metric(text, "fraud_events_dropped_total") for text in texts)) if texts else None,
        memory_bytes=memory,
        models=models,
        drift=runs.get("drift"),
        promotion=runs.get("promote"),
        problems=problems,
    )


def _functions(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Services and programs, delivery among the latter; lag by the address that its source sends to."""
    delivery = status["delivery"] or {}
    programs = {**status["programs"], **({"delivery": delivery} if delivery else {})}
    lag: dict[str, int] = {}
    for source in (delivery.get("kafka_sources") or {}).values():
        sink = source["sink"].rstrip("/")
        lag[sink] = lag.get(sink, 0) + int(source.get("lag") or 0)
    entries = []
    for name, one in {**status["services"], **programs}.items():
        fields = {key: one.get(key) for key in ("url", "desired", "ready", "restarts", "failure")}
        memory = [_memory(replica["pid"]) or 0 for replica in one["replicas"]]
        entries.append({"name": name, **fields, "lag": lag.get(one.get("url") or ""), "memory_bytes": sum(memory)})
    return entries


def _decisions(text: str) -> dict[str, Any]:
    by_decision = {name: int(count) for name, count in sum_by(text, "fraud_predictions_total", "decision").items()}
    by_model = {name: int(count) for name, count in sum_by(text, "fraud_predictions_total", "model_version").items()}
    return {
        "total": sum(by_decision.values()),
        "by_decision": by_decision,
        "by_model": by_model,
        "degraded": int(sum_metric(text, "fraud_degraded_total")),
    }


def _alert_share(decisions: Mapping[str, Any]) -> float | None:
    total = decisions["total"]
    return (total - decisions["by_decision"].get("approve", 0)) / total if total else None


def _shadow(text: str) -> dict[str, Any]:
    """Agreement of all replicas together, from their counters, for the pair of models compared last."""
    name = "fraud_shadow_compared_total"
    pairs = [sample.labels for family in _families(text) for sample in family.samples if sample.name == name]
    if not pairs:
        return {"compared": 0, "agreement_percent": None, "alerts": 0, "alert_agreement_percent": None}
    latest = max(pairs, key=lambda labels: (_number(labels["challenger"]), _number(labels["champion"])))
    pair = {key: latest[key] for key in ("champion", "challenger")}

    def count(**labels: str) -> float:
        return sum_metric(text, name, **pair, **labels)

    def percent(part: float, whole: float) -> float | None:
        return 100.0 * part / whole if whole else None

    return {
        **pair,
        "compared": int(count()),
        "agreement_percent": percent(count(agree="yes"), count()),
        "alerts": int(count(alert="yes")),
        "alert_agreement_percent": percent(count(alert="yes", agree="yes"), count(alert="yes")),
    }


def _number(version: str) -> float:
    return float(version) if version.isdecimal() else -math.inf


def _memory(pid: int | None) -> int | None:
    """Return the proportional set size of a process in bytes; its resident size where the system has no such."""
    import psutil  # noqa: PLC0415

    if pid is None:
        return None
    try:
        memory = psutil.Process(pid).memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return int(getattr(memory, "pss", 0) or memory.rss)


async def _text(http: aiohttp.ClientSession, url: str, problems: list[str]) -> str | None:
    import aiohttp  # noqa: PLC0415

    try:
        async with http.get(url) as answer:
            answer.raise_for_status()
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        problems.append(f"{url}: {error or type(error).__name__}")
        return None


async def _json(http: aiohttp.ClientSession, url: str, problems: list[str]) -> Any:
    import orjson  # noqa: PLC0415

    text = await _text(http, url, problems)
    return None if text is None else orjson.loads(text)


async def _topic_sizes(bootstrap_servers: str, problems: list[str]) -> dict[str, int] | None:
    from confluent_kafka import KafkaException  # noqa: PLC0415

    from shared.bus.topics import DEAD_LETTERS, DECISIONS  # noqa: PLC0415

    def sizes() -> dict[str, int]:
        return {
            "decisions": topic_size(bootstrap_servers, DECISIONS),
            "dead_letters": topic_size(bootstrap_servers, DEAD_LETTERS),
        }

    try:
        return await asyncio.to_thread(sizes)
    except (KafkaException, TimeoutError) as error:
        problems.append(f"Kafka at {bootstrap_servers}: {error}")
        return None


def topic_size(bootstrap_servers: str, topic: str) -> int:
    """Return how many records a topic holds, by its partitions' first and next offsets; blocking.

    Raises:
        KafkaException: The broker does not answer within three seconds.
        TimeoutError: As above.
    """
    from confluent_kafka import TopicPartition, admin  # noqa: PLC0415

    from shared.bus.topics import PARTITIONS  # noqa: PLC0415

    client = admin.AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def total(spec: Any) -> int:
        asked = client.list_offsets(dict.fromkeys(partitions, spec), request_timeout=_TIMEOUT_SECONDS)
        return sum(int(future.result(_TIMEOUT_SECONDS).offset) for future in asked.values())

    specs: Any = admin
    return total(specs.OffsetSpec.latest()) - total(specs.OffsetSpec.earliest())


async def _models(mlflow_uri: str, problems: list[str]) -> list[dict[str, Any]] | None:
    from shared.registry.client import RegistryClient  # noqa: PLC0415
    from shared.registry.errors import RegistryUnavailable  # noqa: PLC0415

    try:
        versions = await asyncio.to_thread(RegistryClient(mlflow_uri).versions, "fraud")
    except RegistryUnavailable as error:
        problems.append(f"MLflow at {mlflow_uri}: {error}")
        return None
    return [{"version": one.version, "aliases": list(one.aliases)} for one in versions if one.aliases]


def _last_runs(state: StackState, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Outputs of the last run of each function that judges, where it has come to an end; blocking."""
    from shared.cli.runs import open_store  # noqa: PLC0415
    from shared.lake.errors import LakeAway  # noqa: PLC0415

    found: dict[str, dict[str, Any]] = {}
    try:
        runs = open_store()
        for function in ("drift", "promote"):
            last = next((run for run in runs.latest(function) if run.outputs), None)
            if last is not None:
                found[function] = last.outputs
    except LakeAway as away:
        problems.append(f"S3 at {state.s3_url}: {away}")
    return found
