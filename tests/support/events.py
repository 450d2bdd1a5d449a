"""Loads the golden trigger payloads under ``tests/events``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

EVENTS = Path(__file__).parents[1] / "events"


@dataclass(frozen=True)
class Golden:
    """One payload and what is expected of it; ``tests/events/README.md`` says what each part means."""

    name: str
    function: str
    request: dict[str, Any]
    invocation: dict[str, Any]
    expect: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The body of the request."""
        return orjson.dumps(self.request["body"])


def golden(*hosts: str) -> list[Any]:
    """The payloads of the hosts, as parameters of a test."""
    found = []
    for host in hosts:
        for path in sorted((EVENTS / host).glob("*.json")):
            name = f"{host}/{path.stem}"
            document = orjson.loads(path.read_bytes())
            one = Golden(
                name,
                document["function"],
                document.get("request", {}),
                document.get("invocation", {}),
                document["expect"],
            )
            found.append(pytest.param(one, id=name))
    return found


def agrees(actual: Any, expected: Any) -> bool:
    """Whether a document has all that is expected; objects may have more."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            name in actual and agrees(actual[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(agrees(one, other) for one, other in zip(actual, expected, strict=True))
        )
    return bool(actual == expected)
