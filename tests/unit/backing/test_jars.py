import hashlib
from pathlib import Path
from typing import Any

import pytest

from shared.backing import jars
from shared.backing.jars import JarMismatch, ensure_jars, read_lock
from shared.backing.settings import BackingSettings

GOOD = b"a jar"
DIGEST = hashlib.sha256(GOOD).hexdigest()


class FakeMaven:
    """A repository that serves the given bytes, one after the other."""

    def __init__(self, folder: Path, *served: bytes) -> None:
        self.folder = folder
        self.served = list(served)
        self.downloads = 0

    def create_dependency(self, coordinate: str) -> Any:
        class Dependency:
            artifact = self

        self.jar = self.folder / f"{coordinate.replace(':', '-')}.jar"
        return Dependency

    def resolve(self) -> str:
        if not self.jar.exists():
            self.downloads += 1
            self.jar.write_bytes(self.served.pop(0))
        return str(self.jar)


def _maven(monkeypatch: pytest.MonkeyPatch, folder: Path, *served: bytes) -> FakeMaven:
    maven = FakeMaven(folder, *served)
    monkeypatch.setattr(jars, "_maven", lambda _: maven)
    return maven


def test_a_jar_that_fits_is_downloaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maven = _maven(monkeypatch, tmp_path, GOOD)
    settings = BackingSettings(cache=tmp_path)
    for _ in range(2):
        assert ensure_jars(settings, {"group:name:1": DIGEST}) == [tmp_path / "group-name-1.jar"]
    assert maven.downloads == 1


def test_a_damaged_jar_in_the_cache_is_fetched_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maven = _maven(monkeypatch, tmp_path, GOOD)
    (tmp_path / "group-name-1.jar").write_bytes(b"half a j")
    assert ensure_jars(BackingSettings(cache=tmp_path), {"group:name:1": DIGEST})[0].read_bytes() == GOOD
    assert maven.downloads == 1


def test_a_repository_with_other_bytes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _maven(monkeypatch, tmp_path, b"evil", b"evil")
    with pytest.raises(JarMismatch, match="group:name:1"):
        ensure_jars(BackingSettings(cache=tmp_path), {"group:name:1": DIGEST})
    assert not (tmp_path / "group-name-1.jar").exists()


def test_the_lock_file_pins_the_broker_and_its_logging() -> None:
    lock = read_lock()
    assert f"org.apache.kafka:kafka_2.13:{jars.KAFKA_VERSION}" in lock
    assert any(coordinate.startswith("org.slf4j:slf4j-simple:") for coordinate in lock)
    assert all(len(digest) == 64 for digest in lock.values())
    assert list(lock) == sorted(lock)
