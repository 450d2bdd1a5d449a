"""Which replicas give up connections, and how many."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from shared.emulator.balance import balance


class Replica:
    """What `balance` sees of a replica."""

    def __init__(self, connections: int) -> None:
        self.connections = connections
        self.told: dict[str, int] = {}

    def send(self, **message: int) -> None:
        self.told = message


def shed(*connections: int) -> list[int]:
    """What each of these replicas is told to give up."""
    replicas: list[Any] = [Replica(number) for number in connections]
    balance(replicas)
    return [replica.told.get("shed", 0) for replica in replicas]


@pytest.mark.parametrize(
    ("connections", "given_up"),
    [
        ((16, 0, 0, 0), [12, 0, 0, 0]),
        ((8, 8, 0, 0), [4, 4, 0, 0]),
        ((5, 5, 5, 1), [1, 1, 1, 0]),  # each is near its share, one is far below
        ((2, 1, 0), [1, 0, 0]),
        ((5, 4, 4, 3), [0, 0, 0, 0]),
        ((4, 4, 4, 4), [0, 0, 0, 0]),
        ((1, 0, 0), [0, 0, 0]),
        ((140, 120), [0, 0]),
        ((200, 56), [72, 0]),
        ((150, 150, 84), [22, 22, 0]),
    ],
)
def test_whoever_is_above_gives_up_what_others_lack(connections: tuple[int, ...], given_up: list[int]) -> None:
    assert shed(*connections) == given_up


def test_a_lone_replica_takes_all() -> None:
    replica: Any = Replica(9)
    balance([replica])
    assert replica.told == {"fair_share": sys.maxsize}
