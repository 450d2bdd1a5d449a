import hashlib
import os

import pytest

from shared.registry.disk_copy import DiskCopy, StoredModel
from shared.scoring.errors import BundleError


def model(version, data=b"bundle"):
    return StoredModel(version, f"run-{version}", hashlib.sha256(data).hexdigest(), data)


def test_nothing_stored_is_none(tmp_path):
    assert DiskCopy(tmp_path / "absent").load() is None


def test_stored_and_loaded(tmp_path):
    DiskCopy(tmp_path).store(model("1"))
    assert DiskCopy(tmp_path).load() == model("1")


def test_a_newer_one_replaces_the_old_one_and_its_file(tmp_path):
    copy = DiskCopy(tmp_path)
    copy.store(model("1", b"old"))
    copy.store(model("2", b"new"))
    assert copy.load() == model("2", b"new")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("step", ["bundle", "index"])
def test_death_at_any_step_leaves_the_old_one(tmp_path, monkeypatch, step):
    copy = DiskCopy(tmp_path)
    copy.store(model("1", b"old"))
    real_fsync, calls = os.fsync, []

    def die(handle):
        calls.append(handle)
        if len(calls) == (1 if step == "bundle" else 2):
            raise KeyboardInterrupt
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        copy.store(model("2", b"new"))
    monkeypatch.undo()
    assert DiskCopy(tmp_path).load() == model("1", b"old")
    assert not list(tmp_path.glob(".partial-*"))


@pytest.mark.parametrize("junk", [b"", b"[]", b"{}", b'{"version": "1"}', b"\xff"])
def test_an_index_that_cannot_be_read_is_an_error(tmp_path, junk):
    copy = DiskCopy(tmp_path)
    copy.store(model("1"))
    (tmp_path / "current.json").write_bytes(junk)
    with pytest.raises(BundleError):
        copy.load()


def test_a_changed_bundle_is_an_error(tmp_path):
    copy = DiskCopy(tmp_path)
    copy.store(model("1"))
    [bundle] = tmp_path.glob("bundle-*.zip")
    bundle.write_bytes(b"bundlf")
    with pytest.raises(BundleError, match="corrupt"):
        copy.load()


def test_removed_is_gone(tmp_path):
    copy = DiskCopy(tmp_path)
    copy.store(model("1"))
    copy.remove()
    copy.remove()
    assert copy.load() is None
    assert not list(tmp_path.iterdir())
