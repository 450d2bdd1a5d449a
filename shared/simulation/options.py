"""Patterns and label delays as people write them in options and variables."""

from __future__ import annotations

import re
from typing import Final

from shared.simulation.config import DAY_MS, Pattern

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_PATTERN: Final = re.compile(r"([a-z_]+)=(\d*\.?\d+)(?:@(\d*\.?\d+))?")


def read_pattern(text: str) -> tuple[Pattern, float, float | None]:
    """Read NAME=SHARE[@DAY]: a pattern, its share of the fraud, and the day on which it begins, if one is named.

    Raises:
        ValueError: The text is something else.
    """
    match = _PATTERN.fullmatch(text)
    if match is None or match[1] not in set(Pattern):
        raise ValueError(f"{text!r} is not NAME=SHARE[@DAY] with a name out of {', '.join(Pattern)}")
    return Pattern(match[1]), float(match[2]), None if match[3] is None else float(match[3])


def read_delay(text: str) -> tuple[float, float]:
    """Read the shortest and the longest delay of a label, such as 2d-14d; returns days.

    Raises:
        ValueError: The text is something else.
    """
    shortest, _, longest = text.partition("-")
    delays = _read_duration(shortest), _read_duration(longest or shortest)
    if delays[0] > delays[1]:
        raise ValueError("the shortest label delay comes first")
    return delays


def _read_duration(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m, 6h or 2d")
    return float(match[1]) * _UNITS_MS[match[2]] / DAY_MS
