"""One run: drain the topics, keep the tables in order, and now and then check features against the events.

The libraries that this takes (Delta, Arrow, Kafka, boto3) are loaded with the first run, not at the function's start.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeAlias

from functions.archiver.settings import ArchiverSettings
from shared.hosts.outcome import ServiceAway
from shared.lake.errors import LakeAway
from shared.lake.settings import LakeSettings
from shared.runs.record import Trigger

Work: TypeAlias = Callable[[Trigger], dict[str, Any]]
"""Does one run and returns what came of it; raises `ServiceAway`."""
_FUNCTION: Final = "archiver"
_LONGEST: Final = timedelta(minutes=10)
_RUNS_KEPT: Final = timedelta(days=14)


def work(settings: ArchiverSettings, lake: LakeSettings, every: timedelta) -> Work:
    """The archiver's work. It connects with its first run and stays connected."""
    parts: _Parts | None = None

    def run(trigger: Trigger) -> dict[str, Any]:
        nonlocal parts
        try:
            if parts is None:
                parts = _Parts(settings, lake, every)
            return parts.run(trigger)
        except LakeAway as away:
            raise ServiceAway(str(away)) from away

    return run


class _Parts:
    def __init__(self, settings: ArchiverSettings, lake_settings: LakeSettings, every: timedelta) -> None:
        from functions.archiver.archive import Archive  # noqa: PLC0415
        from functions.archiver.parity import Parity  # noqa: PLC0415
        from functions.archiver.topic import TopicReader  # noqa: PLC0415
        from functions.archiver.upkeep import Upkeep  # noqa: PLC0415
        from shared.bus.dead_letters import DeadLetterTopic  # noqa: PLC0415
        from shared.lake.lake import Lake  # noqa: PLC0415
        from shared.lake.objects import Objects  # noqa: PLC0415
        from shared.runs.recorder import Recorder  # noqa: PLC0415
        from shared.runs.store import FOLDER, RunStore  # noqa: PLC0415

        lake = Lake.open(lake_settings)
        servers = settings.kafka_bootstrap_servers
        self._archive = Archive(lake, TopicReader(servers), DeadLetterTopic(servers), settings)
        self._upkeep = Upkeep(lake, settings.fraud_archive_compact_files)
        store = RunStore(Objects(lake_settings, FOLDER))
        self._parity = Parity(settings, lake_settings, store)
        self._recorder = Recorder(store, _FUNCTION, every=every, longest=_LONGEST)
        self._store = store
        self._pruned: date | None = None

    def run(self, trigger: Trigger) -> dict[str, Any]:
        with self._recorder.record(trigger) as run:
            now = datetime.now(UTC)
            run.outputs["tables"] = self._archive.drain()
            run.outputs["compacted_files"] = self._upkeep.run(now)
            self._parity.run_if_due(now, run.run_id)
            self._prune(now.date())
        return run.outputs

    def _prune(self, today: date) -> None:
        """Once a day: of over a thousand runs a day nobody reads the old ones."""
        if self._pruned != today:
            self._store.prune(_FUNCTION, today - _RUNS_KEPT)
            self._pruned = today
