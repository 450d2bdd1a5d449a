"""From a model's margin (log-odds) to the probability that is reported as the score.

Everything here is scalar Python on purpose: for the few rows of a request it is faster than numpy, and one row
gives the same bits alone as in a batch, which vectorised ``exp`` does not promise.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_MARGIN_LIMIT = 500.0  # beyond it exp() would overflow, and the probability is 0 or 1 to the last bit anyway


def sigmoid(margin: float) -> float:
    """Return the probability whose log-odds are ``margin``; NaN stays NaN."""
    return 1.0 / (1.0 + math.exp(-min(max(margin, -_MARGIN_LIMIT), _MARGIN_LIMIT)))


class Calibration(Protocol):
    """A monotone map from margin to probability."""

    def probability(self, margin: float) -> float:
        """Return the calibrated probability of fraud for one margin."""

    def describe(self) -> dict[str, Any]:
        """Return the manifest's form, which :func:`calibration_from` reads back."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The model's own probability: the sigmoid of its margin."""

    def probability(self, margin: float) -> float:
        """Return the sigmoid of the margin."""
        return sigmoid(margin)

    def describe(self) -> dict[str, Any]:
        """Return the manifest's form."""
        return {"method": "identity"}


@dataclass(frozen=True, slots=True)
class Platt:
    """A logistic curve over the margin (Platt 1999)."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (self.slope > 0 and math.isfinite(self.slope) and math.isfinite(self.intercept)):
            raise ValueError("Platt calibration needs a positive finite slope and a finite intercept")

    def probability(self, margin: float) -> float:
        """Return the sigmoid of the scaled and shifted margin."""
        return sigmoid(self.slope * margin + self.intercept)

    def describe(self) -> dict[str, Any]:
        """Return the manifest's form."""
        return {"method": "platt", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising broken line over the model's probability (Zadrozny and Elkan 2002), flat outside its ends."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not self.x:
            raise ValueError("isotonic calibration needs as many x as y, and at least one")
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("isotonic calibration needs rising x")
        if any(b < a for a, b in zip(self.y, self.y[1:], strict=False)):
            raise ValueError("isotonic calibration needs y that never falls")
        if not (self.y[0] >= 0.0 and self.y[-1] <= 1.0):
            raise ValueError("isotonic calibration needs y in [0, 1]")

    def probability(self, margin: float) -> float:
        """Return the line's height over the sigmoid of the margin."""
        raw = sigmoid(margin)
        right = bisect_right(self.x, raw)
        if right == 0:
            return self.y[0]
        if right == len(self.x):
            return self.y[-1]
        x0, x1, y0, y1 = self.x[right - 1], self.x[right], self.y[right - 1], self.y[right]
        return y0 + (y1 - y0) * (raw - x0) / (x1 - x0)

    def describe(self) -> dict[str, Any]:
        """Return the manifest's form."""
        return {"method": "isotonic", "x": list(self.x), "y": list(self.y)}


def _numbers(value: object, name: str) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{name} must be a list of numbers")
    return tuple(_number(item, name) for item in value)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number")
    return float(value)


def calibration_from(described: Mapping[str, Any]) -> Calibration:
    """Read a calibration back from its manifest form.

    Raises:
        ValueError: The method is unknown or its numbers are not a monotone map.
        TypeError: A number is missing or is not one.
    """
    match described.get("method"):
        case "identity":
            calibration: Calibration = Identity()
        case "platt":
            calibration = Platt(
                _number(described.get("slope"), "slope"), _number(described.get("intercept"), "intercept")
            )
        case "isotonic":
            calibration = Isotonic(_numbers(described.get("x"), "x"), _numbers(described.get("y"), "y"))
        case other:
            raise ValueError(f"unknown calibration method {other!r}")
    unknown = described.keys() - calibration.describe().keys()
    if unknown:
        raise ValueError(f"unknown calibration setting {min(unknown)!r}")
    return calibration
