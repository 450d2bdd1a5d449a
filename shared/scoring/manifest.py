"""The manifest of a serving bundle: what the models inside are, need and must predict.

Reading is strict: a field that is missing, unknown or of another type refuses the bundle and is named by its path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from shared.scoring.calibration import Calibration, Identity, calibration_from
from shared.scoring.errors import BundleError
from shared.scoring.policy import Policy

FORMAT = 1
ARTIFACT_PATH = "serving/bundle.zip"  # of a training run
MAIN = "main"
REQUEST_ONLY = "request_only"

Row = tuple[float | None, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """Feature rows with XGBoost's own answers, compared again each time the model is loaded.

    Attributes:
        rows: n rows of feature values, None is missing.
        scores: n probabilities by XGBoost, before calibration.
        contributions: n rows of f + 1 values by XGBoost's ``approx_contribs``.
    """

    rows: tuple[Row, ...]
    scores: tuple[float, ...]
    contributions: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What one of the bundle's models is.

    Attributes:
        features: Names of its columns, in vector order.
        policy: Thresholds chosen on its own validation scores.
        average_precision: On the test rows, which it never saw before.
        golden: Rows that prove the serving form equal to the original.
        calibration: From margin to score.
    """

    features: tuple[str, ...]
    policy: Policy
    average_precision: float
    golden: GoldenRows
    calibration: Calibration = field(default_factory=Identity)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bundle's description of itself.

    Attributes:
        model_name: Registered name, such as ``fraud``.
        catalogue_version: Version of the feature catalogue it was trained with.
        settings: Feature settings that serving must share with training, such as the high-risk list.
        training_data: Label of the rows it learned from.
        main: The model for complete feature vectors.
        request_only: The model for what the request alone says, while the feature store is away.
        members: SHA-256 of each other member of the archive, in hexadecimal.
    """

    model_name: str
    catalogue_version: str
    settings: Mapping[str, Any]
    training_data: str
    main: ModelCard
    request_only: ModelCard
    members: Mapping[str, str]

    def to_json(self) -> bytes:
        """Return the manifest as canonical JSON: the same manifest gives the same bytes."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "model_name": self.model_name,
                "catalogue_version": self.catalogue_version,
                "settings": dict(self.settings),
                "training_data": self.training_data,
                MAIN: _card_to_json(self.main),
                REQUEST_ONLY: _card_to_json(self.request_only),
                "members": dict(self.members),
            },
            option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2,
        )

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BundleError: It is not JSON, or a field is missing, unknown, of another type or of a later format.
        """
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BundleError(f"manifest.json is not JSON: {error}") from error
        fields = _Fields(document, "manifest.json")
        found = fields.take("format", _integer)
        if found != FORMAT:
            raise BundleError(f"manifest.json has format {found}, this reader knows {FORMAT}")
        manifest = cls(
            model_name=fields.take("model_name", _text),
            catalogue_version=fields.take("catalogue_version", _text),
            settings=fields.take("settings", _object),
            training_data=fields.take("training_data", _text),
            main=_card_from_json(fields.take(MAIN, _object), f"manifest.json {MAIN}"),
            request_only=_card_from_json(fields.take(REQUEST_ONLY, _object), f"manifest.json {REQUEST_ONLY}"),
            members=fields.take("members", _texts),
        )
        fields.nothing_left()
        return manifest


def _card_to_json(card: ModelCard) -> dict[str, Any]:
    return {
        "features": list(card.features),
        "policy": {
            "decline_at": card.policy.decline_at,
            "review_at": card.policy.review_at,
            "version": card.policy.version,
        },
        "calibration": card.calibration.describe(),
        "average_precision": card.average_precision,
        "golden": {
            "rows": [list(row) for row in card.golden.rows],
            "scores": list(card.golden.scores),
            "contributions": [list(row) for row in card.golden.contributions],
        },
    }


def _card_from_json(document: dict[str, Any], path: str) -> ModelCard:
    fields = _Fields(document, path)
    features = fields.take("features", _list_of(_text))
    if not features or len(set(features)) != len(features):
        raise BundleError(f"{path}.features must name each feature once, and at least one")
    policy = _policy_from_json(fields.take("policy", _object), f"{path}.policy")
    described = fields.take("calibration", _object)
    try:
        calibration = calibration_from(described)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path}.calibration: {error}") from error
    card = ModelCard(
        features=features,
        policy=policy,
        average_precision=fields.take("average_precision", _number),
        golden=_golden_from_json(fields.take("golden", _object), f"{path}.golden", len(features)),
        calibration=calibration,
    )
    fields.nothing_left()
    return card


def _policy_from_json(document: dict[str, Any], path: str) -> Policy:
    fields = _Fields(document, path)
    try:
        policy = Policy(fields.take("decline_at", _optional_number), fields.take("review_at", _optional_number))
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from error
    version = fields.take("version", _text)
    if version != policy.version:
        raise BundleError(f"{path}.version is {version}, but these thresholds are version {policy.version}")
    fields.nothing_left()
    return policy


def _golden_from_json(document: dict[str, Any], path: str, width: int) -> GoldenRows:
    fields = _Fields(document, path)
    golden = GoldenRows(
        rows=fields.take("rows", _list_of(_list_of(_optional_number))),
        scores=fields.take("scores", _list_of(_number)),
        contributions=fields.take("contributions", _list_of(_list_of(_number))),
    )
    fields.nothing_left()
    if not golden.rows or not len(golden.rows) == len(golden.scores) == len(golden.contributions):
        raise BundleError(f"{path} needs as many scores and contributions as rows, and at least one row")
    if any(len(row) != width for row in golden.rows):
        raise BundleError(f"{path}.rows must have {width} values each")
    if any(len(row) != width + 1 for row in golden.contributions):
        raise BundleError(f"{path}.contributions must have {width + 1} values each")
    return golden


class _Fields:
    """The fields of one JSON object, each to be taken once, with errors that name the path."""

    def __init__(self, document: object, path: str) -> None:
        if not isinstance(document, dict):
            raise BundleError(f"{path} must be an object")
        self._left = dict(document)
        self._path = path

    def take(self, name: str, read: Callable[[object], T]) -> T:
        if name not in self._left:
            raise BundleError(f"{self._path}.{name} is missing")
        try:
            return read(self._left.pop(name))
        except TypeError as error:
            raise BundleError(f"{self._path}.{name} must be {error}") from error

    def nothing_left(self) -> None:
        for name in self._left:
            raise BundleError(f"{self._path}.{name} is unknown")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a text that is not empty")
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("an integer")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("a number")
    return float(value)


def _optional_number(value: object) -> float | None:
    return None if value is None else _number(value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object")
    return value


def _texts(value: object) -> dict[str, str]:
    return {name: _text(text) for name, text in _object(value).items()}


def _list_of(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    def read_list(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise TypeError("a list")
        return tuple(read(item) for item in value)

    return read_list
