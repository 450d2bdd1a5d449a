"""Kafka's jars: fetched once into the user's cache, and checked against the lock file beside this module.

`python -m shared.backing.jars` fetches them ahead of time; `--lock` resolves the versions anew and rewrites the
lock file.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.backing.settings import BackingSettings

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA_VERSION: Final = "4.3.1"
LOCK_FILE: Final = Path(__file__).with_name("kafka-jars.lock")

# Kafka ships without a binding for its logging interface: without the second jar there would be no log at all.
_ROOTS: Final = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
_DOWNLOADS_AT_ONCE: Final = 8


class JarMismatch(RuntimeError):
    """A jar's bytes are not the ones in the lock file, even after a fresh download."""


def read_lock(lock_file: Path = LOCK_FILE) -> dict[str, str]:
    """Return sha256 by coordinate ("group:artifact:version") in the lock file's order."""
    lines = (line.split() for line in lock_file.read_text().splitlines() if line and not line.startswith("#"))
    return {coordinate: digest for coordinate, digest in lines}  # noqa: C416 - dict() loses the types


def ensure_jars(settings: BackingSettings, lock: dict[str, str] | None = None) -> list[Path]:
    """Return the paths of Kafka's jars, downloading those the cache lacks and checking each one's sha256.

    The order is always the same, as an ahead-of-time cache is valid for one class path only. Blocking.

    Raises:
        JarMismatch: A jar differs from the lock file after it was downloaded again.
        RuntimeError: A download failed.
    """
    context = _maven(settings)
    settings.cache.mkdir(parents=True, exist_ok=True)
    # One process at a time: another's half-written jar would look like a wrong one.
    with (settings.cache / "maven.lock").open("w") as turn, ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return sorted(pool.map(lambda item: _ensure(context, *item), (lock or read_lock()).items()))


def _maven(settings: BackingSettings) -> MavenContext:
    from jgo.maven import MavenContext  # noqa: PLC0415 - 0.2 s

    mirror = {"mirror": settings.maven_repository} if settings.maven_repository else None
    return MavenContext(repo_cache=settings.cache / "maven", remote_repos=mirror, timeout=60)


def _ensure(context: MavenContext, coordinate: str, digest: str) -> Path:
    artifact = context.create_dependency(coordinate).artifact
    for _ in range(2):
        # jgo verifies nothing in its cache, and a download's checksum only when the repository offers one.
        jar = Path(artifact.resolve())
        if _sha256(jar) == digest:
            return jar
        jar.unlink()
    raise JarMismatch(f"{coordinate} downloaded with another sha256 than {digest} of {LOCK_FILE.name}; refused")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock_jars(settings: BackingSettings) -> dict[str, str]:
    """Resolve the roots' dependencies and return sha256 by coordinate, in coordinate order."""
    context = _maven(settings)
    roots, transitive = context.resolver.resolve([context.create_dependency(root) for root in _ROOTS])
    artifacts = [dependency.artifact for dependency in (*roots, *transitive)]
    coordinates = {f"{one.groupId}:{one.artifactId}:{one.version}": Path(one.resolve()) for one in artifacts}
    return {coordinate: _sha256(coordinates[coordinate]) for coordinate in sorted(coordinates)}


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.backing.jars", description="Fetch Kafka's jars.")
    parser.add_argument("--lock", action="store_true", help="resolve the versions anew, rewrite the lock file")
    settings = BackingSettings()
    if parser.parse_args().lock:
        head = f"# Jars of Apache Kafka {KAFKA_VERSION}: coordinate and sha256. Made by `make lock`.\n"
        lines = (f"{coordinate} {digest}\n" for coordinate, digest in lock_jars(settings).items())
        LOCK_FILE.write_text(head + "".join(lines))
    ensure_jars(settings)


if __name__ == "__main__":
    _main()
