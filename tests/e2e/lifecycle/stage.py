"""The running system of one performance: own folder, own ports, no schedules but the play's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from shared.cli.asking import ask
from shared.cli.output import CommandFailed
from shared.cli.runs import open_store
from shared.cli.stack_settings import PROJECT
from shared.registry.aliases import CHALLENGER, CHAMPION, AliasRegistry
from shared.runs.record import RunRecord
from tests.e2e.running import System
from tests.e2e.starting import FRAUD, own_environment

_CAUGHT_UP_SECONDS: Final = 300.0
_MODEL: Final = "fraud"
_TRIES: Final = 5
_TICK_SECONDS: Final = 5.0


def without_schedules(target: Path) -> Path:
    """Copy the manifests without what the wall clock starts: the play's days begin when its traffic has come so far."""
    shutil.copytree(PROJECT / "knative" / "base", target)
    for path in target.glob("*.yaml"):
        documents = [one for one in yaml.safe_load_all(path.read_text()) if one["kind"] != "PingSource"]
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return target


class Stage:
    """A running system.

    Args:
        home: Its state folder.
    """

    def __init__(self, home: Path) -> None:
        self.system = System.find(home)
        self.registry = AliasRegistry(self.system.state.mlflow_uri)

    def wait_caught_up(self) -> None:
        """Wait until every event has been dealt with, a training that drift has started included."""
        self.system.wait_delivered(_CAUGHT_UP_SECONDS)

    def run(self, function: str, asked: Mapping[str, Any]) -> RunRecord:
        """Have a scheduled function run, and return the record of the run.

        A function that says that a service is away is asked again, as its next tick would.
        """
        for _ in range(_TRIES - 1):
            try:
                return ask(function, asked, self.system.state.functions[function])
            except CommandFailed as failed:
                if "answered 503" not in str(failed):
                    raise
                time.sleep(_TICK_SECONDS)
        return ask(function, asked, self.system.state.functions[function])

    def archive(self) -> None:
        """Archive until nothing is left: one run takes no longer than a minute of the real schedule."""
        while any(table["lag"] for table in self.run("archiver", {}).outputs["tables"].values()):
            pass

    def train(self, as_of: str) -> list[RunRecord]:
        """Have a model trained as of a moment, and return the records of what was done."""
        before = datetime.now(UTC)
        with suppress(CommandFailed):  # it was refused; the record says why
            self.run("train", {"as_of": as_of})
        return self.runs_since("train", before)

    def runs_since(self, function: str, moment: datetime) -> list[RunRecord]:
        """Return the runs of a function that started since a moment, oldest first."""
        return list(open_store().since(function, moment))

    def dismiss_challenger(self) -> None:
        """Take the first challenger out: it comes with the first champion, and may be the better of the two."""
        if self.registry.version_by_alias(_MODEL, CHALLENGER) is not None:
            self.registry.delete_alias(_MODEL, CHALLENGER)

    def champion(self) -> str:
        """Return the champion's version."""
        champion = self.registry.version_by_alias(_MODEL, CHAMPION)
        return "-" if champion is None else champion.version


@contextmanager
def running(home: Path, settings: Mapping[str, str]) -> Iterator[Stage]:
    """Start a system with its first champion, and stop it in the end.

    Raises:
        RuntimeError: It does not start.
    """
    manifests = {"FRAUD_MANIFESTS": str(without_schedules(home / "manifests"))}
    environment = own_environment(home) | dict(settings) | manifests
    os.environ["FRAUD_HOME"] = str(home)  # the runs' records are looked up in this process
    try:
        up = subprocess.run([*FRAUD, "up", "--no-traffic"], env=environment, text=True, check=False, stdout=sys.stderr)
        if up.returncode:
            raise RuntimeError("the system did not start")
        yield Stage(home)
    finally:
        subprocess.run([*FRAUD, "down"], env=environment, capture_output=True, check=False)
