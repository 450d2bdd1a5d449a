"""Ties a program to the emulator's life and weight, then becomes it.

Run as `python -m shared.emulator.tether NICENESS PARENT_PID COMMAND...`.

A program knows nothing of the emulator, so nothing in it would end when the emulator is killed. On Linux the kernel
sends it SIGTERM then; elsewhere it has to be ended by whoever finds it.
"""

import ctypes
import os
import signal
import sys

from shared.emulator.weight import take_weight

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Set the niceness, ask for SIGTERM at the end of the parent, and execute the command."""
    niceness, parent, *command = sys.argv[1:]
    take_weight(int(niceness))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):
            sys.exit(1)  # it ended before the kernel was asked
    os.execvp(command[0], command)  # noqa: S606 - the command comes from our manifests


if __name__ == "__main__":
    main()
