"""Records the broker's ahead-of-time cache: a short-lived broker does a broker's work once, then ends."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import psutil

from shared.backing.aot import AotCache
from shared.backing.jars import ensure_jars
from shared.backing.kafka import JVM_OPTIONS, JVM_VARIABLES, format_storage, java, java_command
from shared.backing.kafka_client import KafkaProbe
from shared.backing.ports import free_ports
from shared.backing.processes import end
from shared.backing.service import NotReady
from shared.backing.settings import LOOPBACK, BackingSettings

log = logging.getLogger(__name__)

_START_SECONDS: Final = 120.0
_WRITE_SECONDS: Final = 180.0  # the cache is written at the end; niced on a busy machine that takes its time
_NICENESS: Final = 19


async def record_aot_cache(settings: BackingSettings) -> bool:
    """Record the cache unless it exists or another process is at it; at the lowest priority.

    Costs some 15 CPU seconds and 250 MB for as long as it runs. A failure is logged and harms nothing.

    Returns:
        Whether the cache exists now.
    """
    jars = await asyncio.to_thread(ensure_jars, settings)
    cache = AotCache.of(settings, java(), jars)
    with (settings.cache / "aot.lock").open("w") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return cache.path.exists()
        if cache.path.exists():
            return True
        folder = Path(tempfile.mkdtemp(prefix="recording-", dir=settings.cache))
        try:
            await _record(folder, jars, cache.path)
        except (OSError, RuntimeError, NotReady) as error:
            log.warning("no ahead-of-time cache for Kafka, which will start slower: %s", error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return cache.path.exists()


async def _record(folder: Path, jars: list[Path], target: Path) -> None:
    """Run a broker in `folder` that records, work with it, end it, and put the cache in place."""
    port, controller_port = free_ports(2)
    properties = await format_storage(folder, jars, port=port, controller_port=controller_port)
    recorded = folder / "kafka.aot"
    argv = java_command(jars, *JVM_OPTIONS, f"-XX:AOTCacheOutput={recorded}")
    environment = {name: value for name, value in os.environ.items() if name not in JVM_VARIABLES}
    with (folder / "broker.log").open("wb") as output:
        broker = await asyncio.create_subprocess_exec(
            *argv, "kafka.Kafka", str(properties),
            cwd=folder, env=environment, stdout=output, stderr=asyncio.subprocess.STDOUT, process_group=0,
        )  # fmt: skip
    process = psutil.Process(broker.pid)
    try:
        process.nice(_NICENESS)
        address = f"{LOOPBACK}:{port}"
        await asyncio.wait_for(_ready(KafkaProbe(address, create_groups_topic=True)), _START_SECONDS)
        await _exercise(address)
        process.terminate()
        await asyncio.wait_for(broker.wait(), _WRITE_SECONDS)
        recorded.replace(target)
    except (psutil.NoSuchProcess, FileNotFoundError, TimeoutError) as error:
        tail = (folder / "broker.log").read_text(errors="replace")[-500:]
        raise RuntimeError(f"the recording broker failed ({error!r}): {tail}") from error
    finally:
        await end(process, patience_seconds=0)
        await broker.wait()


async def _ready(probe: KafkaProbe) -> None:
    while True:
        try:
            await asyncio.to_thread(probe.probe)
        except NotReady:
            await asyncio.sleep(0.2)
        else:
            return


async def _exercise(address: str) -> None:
    """Give the broker something to do; cancelled at once, for the client is a process that can be killed.

    Raises:
        RuntimeError: The client failed.
    """
    client = await asyncio.create_subprocess_exec(sys.executable, "-m", "shared.backing.aot_exercise", address)
    try:
        psutil.Process(client.pid).nice(_NICENESS)
        if status := await client.wait():
            raise RuntimeError(f"the recording broker's client ended with status {status}")
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
