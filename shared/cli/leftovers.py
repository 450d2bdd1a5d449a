"""Function replicas that a killed supervisor left behind: they hold the ports of the next one.

Backing services need no such search, as they have pid files; replicas keep no state and are simply ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

from shared.backing.processes import end_all

_PATIENCE_SECONDS: Final = 5.0


def find_leftovers(home: Path) -> list[psutil.Process]:
    """Return processes of the functions (and of event delivery) that run for the state folder `home`."""
    return [process for process in psutil.process_iter() if _belongs_to(process, home)]


async def end_leftovers(home: Path) -> int:
    """End those processes, and return how many there were. Only for a supervisor that holds the folder's lock."""
    leftovers = find_leftovers(home)
    await end_all(leftovers, _PATIENCE_SECONDS)
    return len(leftovers)


def _belongs_to(process: psutil.Process, home: Path) -> bool:
    try:
        command = process.cmdline()
        if "shared.emulator.delivery" in command:
            return any(Path(argument).is_relative_to(home) for argument in command)
        state_folder = process.environ().get("FRAUD_STATE_DIR")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return state_folder is not None and Path(state_folder).is_relative_to(home / "functions")
