"""The last good model on disk: what a cold start scores with at once, and when the registry is away."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.scoring.errors import BundleError

_INDEX = "current.json"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A bundle and which version it is."""

    version: str
    run_id: str
    sha256: str
    data: bytes


class DiskCopy:
    """Keeps one bundle in a folder, whole or not at all, whenever the process dies.

    The bundle is written under its digest first, then an index that names it replaces the old one in one step.

    Args:
        folder: Made when it does not exist; one per model and alias.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> StoredModel | None:
        """Return the stored model, or None when there is none.

        Raises:
            BundleError: There is one, and it cannot be read or is not what was stored.
        """
        try:
            index = orjson.loads((self._folder / _INDEX).read_bytes())
            version, run_id, sha256 = str(index["version"]), str(index["run_id"]), str(index["sha256"])
            data = self._bundle_path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BundleError(f"the disk copy's {_INDEX} cannot be read: {error!r}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise BundleError(f"the disk copy is corrupt: its SHA-256 is {found}, not {sha256}")
        return StoredModel(version, run_id, sha256, data)

    def store(self, model: StoredModel) -> None:
        """Replace the stored model.

        Raises:
            OSError: The folder cannot be written; the old copy is still there.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        bundle = self._bundle_path(model.sha256)
        _write_whole(bundle, model.data)
        index = {"version": model.version, "run_id": model.run_id, "sha256": model.sha256}
        _write_whole(self._folder / _INDEX, orjson.dumps(index))
        for other in self._folder.glob("bundle-*.zip"):
            if other != bundle:
                other.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget the stored model, if any."""
        (self._folder / _INDEX).unlink(missing_ok=True)
        for bundle in self._folder.glob("bundle-*.zip"):
            bundle.unlink(missing_ok=True)

    def _bundle_path(self, sha256: str) -> Path:
        return self._folder / f"bundle-{sha256[:32]}.zip"


def _write_whole(path: Path, data: bytes) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
