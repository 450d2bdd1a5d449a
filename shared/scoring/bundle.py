"""The serving bundle: one file that holds all a scorer needs of a model, checked piece by piece.

A ZIP archive of ``manifest.json`` and, for the main and the request-only model, ``<model>/model.onnx`` and
``<model>/contributions.onnx``. It is attached to a training run as the artifact ``serving/bundle.zip``, beside the
XGBoost original.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.scoring.calibration import sigmoid
from shared.scoring.errors import BundleError
from shared.scoring.manifest import MAIN, REQUEST_ONLY, GoldenRows, Manifest, ModelCard
from shared.scoring.policy import Policy
from shared.scoring.predictor import Predictor

MANIFEST_MEMBER = "manifest.json"
SCORE_TOLERANCE = 1e-6
CONTRIBUTION_TOLERANCE = 1e-4
MAX_MEMBER_BYTES = 256 * 2**20

MEMBERS = tuple(f"{model}/{piece}" for model in (MAIN, REQUEST_ONLY) for piece in ("model.onnx", "contributions.onnx"))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model ready to answer: its predictor, its policy and its card."""

    predictor: Predictor
    card: ModelCard

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the predictor's columns, in order."""
        return self.card.features

    @property
    def policy(self) -> Policy:
        """The thresholds chosen for this model's scores."""
        return self.card.policy

    def columns_in(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return where each of this model's features stands in a wider vector of ``names``.

        Raises:
            BundleError: A feature of this model is not among them.
        """
        position = {name: index for index, name in enumerate(names)}
        for name in self.features:
            if name not in position:
                raise BundleError(f"the model needs feature {name!r}, which the feature catalogue lacks")
        return tuple(position[name] for name in self.features)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read, loaded and found to predict what its XGBoost originals predict."""

    manifest: Manifest
    main: ServedModel
    request_only: ServedModel
    sha256: str


def write_bundle(manifest: Manifest, graphs: Mapping[str, bytes]) -> bytes:
    """Return the archive's bytes; the same content gives the same bytes.

    Args:
        manifest: Its ``members`` must be the digests of ``graphs``.
        graphs: The four ONNX members by name (:data:`MEMBERS`).
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in ((MANIFEST_MEMBER, manifest.to_json()), *sorted(graphs.items())):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return buffer.getvalue()


def read_bundle(data: bytes) -> Bundle:
    """Read, load and check a bundle.

    Args:
        data: The archive's bytes.

    Raises:
        BundleError: A piece is missing, unknown or corrupt, or a model differs from its XGBoost original on the
            golden rows by more than 1e-6 in a score or 1e-4 in a contribution. The message names the piece.
    """
    members = _read_members(data)
    manifest = Manifest.from_json(members.pop(MANIFEST_MEMBER))
    if manifest.members.keys() != set(MEMBERS):
        raise BundleError(f"manifest.json.members names {sorted(manifest.members)}, not {sorted(MEMBERS)}")
    for name, content in members.items():
        found = hashlib.sha256(content).hexdigest()
        if found != manifest.members[name]:
            raise BundleError(f"{name} is corrupt: its SHA-256 is {found}, not {manifest.members[name]}")
    return Bundle(
        manifest=manifest,
        main=_serve(manifest.main, members, MAIN),
        request_only=_serve(manifest.request_only, members, REQUEST_ONLY),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _read_members(data: bytes) -> dict[str, bytes]:
    expected = {MANIFEST_MEMBER, *MEMBERS}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            for name in sorted(expected - set(names)):
                raise BundleError(f"{name} is missing from the bundle")
            for name in names:
                if name not in expected or names.count(name) > 1:
                    raise BundleError(f"{name} is unknown in a bundle, or there twice")
                if archive.getinfo(name).file_size > MAX_MEMBER_BYTES:
                    raise BundleError(f"{name} is larger than {MAX_MEMBER_BYTES} bytes")
            return {name: _read_member(archive, name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise BundleError(f"the bundle is not a readable ZIP archive: {error}") from error


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise BundleError(f"{name} is corrupt: {error}") from error


def _serve(card: ModelCard, members: Mapping[str, bytes], model: str) -> ServedModel:
    try:
        predictor = Predictor(
            members[f"{model}/model.onnx"],
            members[f"{model}/contributions.onnx"],
            card.features,
            card.calibration,
        )
        check_golden(predictor, card.golden)
    except BundleError as error:
        raise BundleError(f"{model}: {error}") from error
    return ServedModel(predictor, card)


def check_golden(predictor: Predictor, golden: GoldenRows) -> None:
    """Compare a predictor with XGBoost's own answers on the golden rows.

    Raises:
        BundleError: A score differs by more than 1e-6, or a contribution by more than 1e-4.
    """
    matrix = np.array([[np.nan if value is None else value for value in row] for row in golden.rows], dtype=np.float32)
    scores = np.array([sigmoid(margin) for margin in predictor.margins(matrix).tolist()])
    wanted = np.array(golden.scores)
    # "not (<=)" instead of ">", so that NaN is a difference too.
    wrong = ~(np.abs(scores - wanted) <= SCORE_TOLERANCE)
    if wrong.any():
        row = int(wrong.argmax())
        raise BundleError(f"golden row {row} scores {scores[row]!r}, XGBoost said {golden.scores[row]!r}")
    contributions = predictor.contributions(matrix)
    attributed = np.array(golden.contributions)
    differs = ~(np.abs(contributions - attributed) <= CONTRIBUTION_TOLERANCE)
    if differs.any():
        row, column = (int(index) for index in np.argwhere(differs)[0])
        name = (*predictor.features, "bias")[column]
        raise BundleError(
            f"golden row {row} attributes {contributions[row, column]!r} to {name}, "
            f"XGBoost said {golden.contributions[row][column]!r}"
        )
