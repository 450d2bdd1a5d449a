"""One run: drain the topics, keep the tables in order, and now and then check features against the events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from functions.archiver.archive import Archive
from functions.archiver.parity import Parity
from functions.archiver.settings import ArchiverSettings
from functions.archiver.topic import TopicReader
from functions.archiver.upkeep import Upkeep
from shared.bus.dead_letters import DeadLetterTopic
from shared.lake.lake import Lake
from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.runs.record import Trigger
from shared.runs.recorder import Recorder
from shared.runs.store import FOLDER, RunStore

_FUNCTION: Final = "archiver"
_EVERY: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(minutes=10)
_RUNS_KEPT: Final = timedelta(days=14)


class Work:
    """The archiver's parts; connects with the first run and stays connected.

    Args:
        settings: Bounds and rhythms.
        lake_settings: Where the lake is.
    """

    def __init__(self, settings: ArchiverSettings, lake_settings: LakeSettings) -> None:
        lake = Lake.open(lake_settings)
        servers = settings.kafka_bootstrap_servers
        self._archive = Archive(lake, TopicReader(servers), DeadLetterTopic(servers), settings)
        self._upkeep = Upkeep(lake, settings.fraud_archive_compact_files)
        self._store = RunStore(Objects(lake_settings, FOLDER))
        self._parity = Parity(settings, self._store)
        self._recorder = Recorder(self._store, _FUNCTION, every=_EVERY, longest=_LONGEST)

    def run(self, trigger: Trigger) -> dict[str, Any]:
        """Do one run and return what came of it.

        Raises:
            ServiceAway: Kafka does not answer.
            LakeAway: The lake does not.
        """
        with self._recorder.record(trigger) as run:
            now = datetime.now(UTC)
            run.outputs["tables"] = self._archive.drain()
            run.outputs["compacted_files"] = self._upkeep.run(now)
            self._parity.run_if_due(now, run.run_id)
            # Of over a thousand runs a day nobody reads the old ones.
            self._store.prune(_FUNCTION, now.date() - _RUNS_KEPT)
        return run.outputs
