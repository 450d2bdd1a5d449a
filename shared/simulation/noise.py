"""Randomness that depends on nothing but its keys, so that any part of the traffic can be made on its own.

A card's habits are hashes of (seed, purpose, card): no table has to be stored for them, and card 17 is the same person
in a population of fifty and of a million. Events come from generators keyed by the number of their block of time.
"""

from enum import IntEnum
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Purpose(IntEnum):
    """What a random number is for: different purposes never share numbers."""

    HOME = 1
    ACTIVITY = 2
    SPENDING = 3
    ONLINE_SHARE = 4
    PAYDAY = 5
    TASTE = 6
    FAVOURITE = 7
    TRIP = 8
    MERCHANT_PLACE = 9
    COMPROMISE = 10
    NEIGHBOURHOOD = 11
    GENUINE = 20
    EPISODES = 21
    DELIVERY = 22


def _hash(seed: int, purpose: Purpose, keys: tuple[npt.ArrayLike, ...]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        state = np.asarray(seed * 1_000_003 + int(purpose) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
        for key in keys:
            state = (state ^ np.asarray(key).astype(np.uint64)) * _GOLDEN + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * _MIX_1
            state = (state ^ (state >> np.uint64(27))) * _MIX_2
            state = state ^ (state >> np.uint64(31))
    return np.asarray(state, dtype=np.uint64)


def uniform(seed: int, purpose: Purpose, *keys: npt.ArrayLike) -> Floats:
    """Return numbers in [0, 1) that are a function of the arguments alone; keys broadcast.

    The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), applied once per key.
    """
    return np.asarray((_hash(seed, purpose, keys) >> np.uint64(11)) * 2.0**-53)


def normal(seed: int, purpose: Purpose, *keys: npt.ArrayLike) -> Floats:
    """Return standard normal numbers that are a function of the arguments alone (Box-Muller transform)."""
    radius = np.sqrt(-2 * np.log1p(-uniform(seed, purpose, *keys, 0)))
    return np.asarray(radius * np.cos(2 * np.pi * uniform(seed, purpose, *keys, 1)))


def generator(seed: int, purpose: Purpose, *keys: int) -> np.random.Generator:
    """Return a generator for one block of events, keyed by non-negative integers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(purpose), *keys])))


def letters(length: int, *parts: object) -> str:
    """Return a token of lower-case letters that names the parts; without digits it can never resemble a card number."""
    digest = int.from_bytes(blake2b(repr(parts).encode(), digest_size=16).digest(), "big")
    token = ""
    for _ in range(length):
        digest, letter = divmod(digest, 26)
        token += chr(ord("a") + letter)
    return token
