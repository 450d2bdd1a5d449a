"""Kills the archiver at random moments under load, and compares the lake with what was sent, event by event.

python -m tests.e2e.verify_archiver --kills 50
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.lake.lake import Lake
from shared.lake.settings import LakeSettings
from tests.support.backing import SessionBacking
from tests.support.lake.traffic import SteadyTraffic, Traffic, differences
from tests.support.lake.worker import NEVER_REACHED, PLACES
from tests.support.servers import ROOT

_ENDED_BY_ALARM = -signal.SIGALRM
_SETTINGS = {
    "FRAUD_ARCHIVE_ROWS": "300",
    "FRAUD_ARCHIVE_SECONDS": "8",
    "FRAUD_ARCHIVE_COMPACT_FILES": "6",
    "FRAUD_PARITY_SHARE": "0",
}


def kill_repeatedly(
    environment: Mapping[str, str],
    lake: str,
    *,
    kills: int,
    seed: int,
    per_second: float,
    log: Path,
    places: Sequence[str] = tuple(PLACES),
) -> tuple[bool, str]:
    """Run archivers that die, then one that lives, under load; returns whether every promise held, and a report.

    Half of the moments are tried twice in a row. At every fourth a second archiver is at work beside the one that dies.

    Args:
        environment: Addresses of Kafka and S3.
        lake: Address of a lake of its own.
        kills: Moments to kill at.
        seed: Of moments and events.
        per_second: Transactions per second, each with its decision, shadow and, some, a label.
        log: Takes the archivers' output.
        places: Where to kill, in turns.
    """
    chance = random.Random(seed)
    told = {**os.environ, **environment, **_SETTINGS, "FRAUD_LAKE_URI": lake}
    traffic = Traffic(environment["KAFKA_BOOTSTRAP_SERVERS"], seed)
    killed: Counter[str] = Counter()
    with log.open("ab") as output:

        def start(*words: str, **changes: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "tests.support.lake.worker", *words]
            return subprocess.Popen(command, cwd=ROOT, env=told | changes, stdout=output, stderr=output)

        with SteadyTraffic(traffic, per_second):
            for number in range(kills):
                place = places[number % len(places)]
                longest = 300.0 if place in ("reading", "appended") else 40.0
                moment = (place, str(chance.randint(1, 3)), f"{chance.uniform(0, longest):.3f}")
                for _ in range(1 + number % 2):
                    rival = start() if number % 4 == 3 else None
                    status = start(*moment).wait()
                    if status not in (_ENDED_BY_ALARM, NEVER_REACHED):
                        return False, f"an archiver that was to die ended with {status}, see {log}"
                    killed[place if status == _ENDED_BY_ALARM else "elsewhere"] += 1
                    if rival is not None:
                        rival.kill()
                        rival.wait()
                        killed["rival"] += 1
                print(f"\r{sum(killed.values())} kills, {traffic.records} records", end="", file=sys.stderr, flush=True)
        survivor = start(FRAUD_ARCHIVE_ROWS="5000").wait()
    print(file=sys.stderr)
    found = differences(Lake.open(LakeSettings(**_lake_settings(told))), traffic)
    lines = [f"seed {seed}: {sum(killed.values())} kills: " + ", ".join(f"{n} {place}" for place, n in killed.items())]
    lines += [
        f"{name}: {rows} rows for {len(traffic.sent[name])} distinct events, {lost} lost, {double} double"
        for name, (rows, lost, double) in found.items()
    ]
    lost, double = (sum(one[column] for one in found.values()) for column in (1, 2))
    lines.append(
        f"{traffic.records} records on the topics ({traffic.junk} of them junk), "
        f"{sum(one[0] for one in found.values())} rows in the lake, {lost} lost, {double} double"
    )
    if survivor:
        lines.append(f"the last archiver ended with {survivor}, see {log}")
    return not (lost or double or survivor), "\n".join(lines)


def _lake_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): environment[name] for name in environment if name.startswith(("AWS_", "FRAUD_LAKE_"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="moments; half of them are tried twice in a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50.0, help="transactions per second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="verify-archiver-") as folder:
        backing = SessionBacking(Path(folder))
        try:
            environment = {**backing.environment("kafka"), **backing.environment("s3")}
            held, report = kill_repeatedly(
                environment,
                f"s3://fraud-lake/verify-{time.time_ns()}",
                kills=options.kills,
                seed=options.seed,
                per_second=options.rate,
                log=Path(tempfile.gettempdir()) / f"verify-archiver-{os.getpid()}.log",
            )
        finally:
            backing.stop()
    print(report)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
