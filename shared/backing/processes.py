"""Ending processes that may not be our children, whole families at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import psutil


def alive(process: psutil.Process) -> bool:
    """Whether the process still runs; one that ended and waits for its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def end(process: psutil.Process, patience_seconds: float) -> None:
    """End a process and its descendants: SIGTERM to it, then SIGKILL to all once patience has run out."""
    await end_all([process], patience_seconds)


async def end_all(processes: Sequence[psutil.Process], patience_seconds: float) -> None:
    """End processes side by side, each with its descendants, as `end` does."""
    family = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
            process.terminate()
    await _gone(list(processes), patience_seconds)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    await _gone(family, patience_seconds=5)


async def _gone(processes: list[psutil.Process], patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline and any(alive(process) for process in processes):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)
