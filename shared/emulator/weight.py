"""A process's share of the processors, as the cluster's cgroups would give it."""

import os
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def take_weight(niceness: int) -> None:
    """Set the scheduling weight of this process, which leads a session of its own.

    Where the Linux kernel groups processes by session (sched_autogroup_enabled), every session weighs the same whatever
    the niceness inside it, so the session is made nice too; see sched(7), "The autogroup feature".

    Args:
        niceness: 0 to 19; each step is a factor of 1.25.
    """
    os.nice(niceness)
    if niceness:
        try:
            _AUTOGROUP.write_text(str(niceness))
        except OSError:
            return  # no such kernel, or it has no such feature: the process's own niceness counts there
