"""Progress of a training: one log line per stage, with the seconds it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def stage(name: str, **facts: object) -> Iterator[None]:
    """Log that a stage begins, and how long it took when it is done."""
    log.info("training: %s", name, extra={"stage": name, **facts})
    started = time.monotonic()
    yield
    seconds = round(time.monotonic() - started, 2)
    log.info("training: %s took %.1f s", name, seconds, extra={"stage": name, "seconds": seconds})
