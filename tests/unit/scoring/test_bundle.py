import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from shared.scoring.bundle import MEMBERS, read_bundle
from shared.scoring.errors import BundleError
from tests.support.scoring.small_bundle import RULES, Rule, small_bundle, small_model

BUNDLE = small_bundle()


def members(data=BUNDLE):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_manifest(change):
    """The bundle with its manifest document changed in place."""
    contents = members()
    document = json.loads(contents["manifest.json"])
    change(document)
    return archive_of({**contents, "manifest.json": json.dumps(document).encode()})


def test_a_bundle_reads_back_what_was_written():
    bundle = read_bundle(BUNDLE)
    assert bundle.manifest.model_name == "fraud"
    assert bundle.main.features == small_model(bundle.main.features).features
    assert bundle.main.policy.decline_at == 0.9
    assert bundle.request_only.card.average_precision == 0.4
    assert bundle.sha256 == hashlib.sha256(BUNDLE).hexdigest()
    assert set(bundle.request_only.features) < set(bundle.main.features)


def test_the_same_models_give_the_same_bytes():
    assert small_bundle() == small_bundle()


def test_members_are_the_documented_ones():
    assert set(members()) == {"manifest.json", *MEMBERS}


@pytest.mark.parametrize("name", ["manifest.json", *MEMBERS])
def test_a_missing_member_is_named(name):
    contents = members()
    del contents[name]
    with pytest.raises(BundleError, match=f"{name} is missing"):
        read_bundle(archive_of(contents))


def test_an_unknown_member_is_named():
    with pytest.raises(BundleError, match=r"surprise\.py is unknown"):
        read_bundle(archive_of({**members(), "surprise.py": b"import os"}))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_changed_member_is_named(name):
    contents = members()
    contents[name] = contents[name][:-1] + bytes([contents[name][-1] ^ 1])
    with pytest.raises(BundleError, match=f"{name} is corrupt"):
        read_bundle(archive_of(contents))


@pytest.mark.parametrize("position", range(0, len(BUNDLE), max(1, len(BUNDLE) // 150)))
def test_a_flipped_byte_never_goes_unnoticed_as_another_error(position):
    """Whatever byte rots, the reader either refuses the bundle or what it read is unharmed."""
    rotten = bytearray(BUNDLE)
    rotten[position] ^= 0xFF
    try:
        bundle = read_bundle(bytes(rotten))
    except BundleError:
        return
    assert bundle.manifest == read_bundle(BUNDLE).manifest


@pytest.mark.parametrize("length", [0, 1, 100, len(BUNDLE) // 2, len(BUNDLE) - 1])
def test_a_cut_file_is_refused(length):
    with pytest.raises(BundleError):
        read_bundle(BUNDLE[:length])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("model_name"), r"manifest\.json\.model_name is missing"),
        (lambda d: d.update(model_name=7), r"manifest\.json\.model_name must be a text"),
        (lambda d: d.update(extra=1), r"manifest\.json\.extra is unknown"),
        (lambda d: d.update(format=2), "format 2"),
        (lambda d: d.update(format="1"), r"manifest\.json\.format must be an integer"),
        (lambda d: d["main"].pop("policy"), r"main\.policy is missing"),
        (lambda d: d["main"]["policy"].update(decline_at=0.4), r"main\.policy: review_at"),
        (lambda d: d["main"]["policy"].update(decline_at=0.95), r"main\.policy\.version"),
        (lambda d: d["main"]["policy"].update(decline_at="0.9"), r"main\.policy\.decline_at must be a number"),
        (lambda d: d["main"]["calibration"].update(method="spline"), r"main\.calibration: unknown"),
        (lambda d: d["main"]["calibration"].update(slope=1), r"main\.calibration: unknown"),
        (lambda d: d["main"]["features"].pop(), r"main\.golden\.rows must have"),
        (lambda d: d["main"].update(features=["a", "a"]), r"main\.features"),
        (lambda d: d["main"].update(features=[]), r"main\.features"),
        (lambda d: d["main"]["golden"]["scores"].pop(), r"main\.golden"),
        (lambda d: d["main"]["golden"].update(rows=[], scores=[], contributions=[]), r"main\.golden"),
        (lambda d: d["main"]["golden"]["rows"][0].__setitem__(0, "x"), r"main\.golden\.rows must be a number"),
        (lambda d: d["request_only"].update(average_precision=None), r"request_only\.average_precision"),
        (lambda d: d["members"].pop("main/model.onnx"), r"members"),
    ],
)
def test_a_wrong_manifest_is_refused_by_path(change, message):
    with pytest.raises(BundleError, match=message):
        read_bundle(with_manifest(change))


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_manifest_that_is_no_object_is_refused(junk):
    with pytest.raises(BundleError, match=r"manifest\.json"):
        read_bundle(archive_of({**members(), "manifest.json": junk}))


def test_a_model_that_scores_otherwise_than_its_original_is_refused():
    def nudge(document):
        document["main"]["golden"]["scores"][1] += 2e-6

    with pytest.raises(BundleError, match="main: golden row 1 scores"):
        read_bundle(with_manifest(nudge))


def test_a_model_that_attributes_otherwise_than_its_original_is_refused():
    def nudge(document):
        document["request_only"]["golden"]["contributions"][1][0] += 2e-4

    with pytest.raises(BundleError, match="request_only: golden row 1 attributes"):
        read_bundle(with_manifest(nudge))


def test_swapped_models_are_refused():
    """Both graphs load and have valid digests, but they are another model's."""
    other = members(small_bundle(rules=(Rule("amount", 50_000, 3.0), *RULES[1:])))
    contents = members()
    document = json.loads(contents["manifest.json"])
    for name in ("main/model.onnx", "main/contributions.onnx"):
        contents[name] = other[name]
        document["members"][name] = hashlib.sha256(other[name]).hexdigest()
    contents["manifest.json"] = json.dumps(document).encode()
    with pytest.raises(BundleError, match="golden row"):
        read_bundle(archive_of(contents))


def test_columns_are_found_in_a_wider_vector():
    bundle = read_bundle(small_bundle())
    names = ("later_feature", *reversed(bundle.main.features))
    columns = bundle.request_only.columns_in(names)
    assert [names[column] for column in columns] == list(bundle.request_only.features)
    with pytest.raises(BundleError, match="amount"):
        bundle.main.columns_in(("hour_of_day",))


def test_the_digest_in_the_manifest_is_of_the_member():
    document = json.loads(members()["manifest.json"])
    for name, content in members().items():
        if name != "manifest.json":
            assert document["members"][name] == hashlib.sha256(content).hexdigest()
    assert np.isfinite(document["main"]["average_precision"])
