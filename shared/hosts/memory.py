"""Keeping the garbage collector out of the request path."""

import gc
from typing import Final

_YOUNG: Final = 20_000
_OLD: Final = 50


def settle() -> None:
    """Take what was loaded at start out of the collector's sight, and let it run seldom from now on.

    A full collection walks every module's objects and stops a function for tens of milliseconds, which callers see as
    tail latency. Requests make few reference cycles, so rare collections find little more than frequent ones.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _OLD, _OLD)
