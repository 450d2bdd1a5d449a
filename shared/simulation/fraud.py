"""The six patterns of fraud, as episodes that begin within a given span of event time.

Each function makes the episodes of one span: `(scene, rng, start_ms, count) -> Rows`, where `count` is the expected
number of fraudulent transactions. A part of every pattern is careful fraud that looks like anybody's purchases.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from shared.simulation.categories import ECOMMERCE, names
from shared.simulation.cities import CITIES, distances_km
from shared.simulation.config import DAY_MS, GENUINE, HOUR_MS, MINUTE_MS, PATTERNS, Pattern
from shared.simulation.habits import Habits, channels
from shared.simulation.merchants import ONLINE, Merchants, place_of
from shared.simulation.noise import Floats, Ints, Purpose, uniform
from shared.simulation.population import MEAN_ACTIVITY, Population
from shared.simulation.rows import Rows

_TESTED_AT = names("gift_cards", "online_marketplace", "crypto", "gambling", "entertainment", "electronics")
_CASHED_AT = names("gift_cards", "electronics", "crypto", "money_transfer", "jewelry", "online_marketplace")
_SPREE_AT = names(
    "electronics",
    "jewelry",
    "gift_cards",
    "gift_cards",
    "money_transfer",
    "money_transfer",
    "clothing",
    "electronics",
    "grocery",
)
_ORDINARY = names("grocery", "restaurant", "clothing", "online_marketplace", "entertainment", "electronics")
_ABROAD_AT = names("electronics", "jewelry", "money_transfer", "money_transfer", "clothing", "gift_cards", "restaurant")
_SKIMMED_AT = names("grocery", "restaurant", "fuel", "pharmacy", "clothing", "entertainment")
_CAREFUL = 0.08
_FAR_KM = 1_500.0
_COMPROMISE_DAYS = 28
_STOLEN_PER_DAY = 2.5


@dataclass(frozen=True, slots=True)
class Scene:
    """Where fraud happens: the people, their merchants and their habits; and the time within which episodes begin."""

    population: Population
    directory: Merchants
    habits: Habits
    span_ms: int


def card_testing(scene: Scene, rng: np.random.Generator, start_ms: int, count: float) -> Rows:
    """Bursts of small online amounts at one merchant within minutes; half of the cards are then emptied."""
    mean_size = 12.0
    owner, size = _episodes(rng, count / mean_size, 6, 16)
    card, begin = _victims(scene, rng, start_ms, len(size))
    slow = rng.random(len(size)) < _CAREFUL
    gap = np.where(slow, 25 * MINUTE_MS, rng.uniform(5_000, 40_000, len(size)))[owner]
    time_ms = begin[owner] + _running_total(owner, rng.exponential(gap))
    category = rng.choice(_TESTED_AT, len(size))
    merchant = scene.directory.anywhere(rng, np.full(len(size), ONLINE), category)[owner]
    amount = np.maximum(np.exp(rng.normal(np.log(180), 0.6, len(owner))), 50).astype(np.int64)
    tests = _fraud(rng, card[owner], time_ms, merchant, amount, Pattern.CARD_TESTING)

    emptied = np.flatnonzero(rng.random(len(size)) < 0.5)
    again = np.repeat(emptied, rng.integers(1, 3, len(emptied), endpoint=True))
    last = begin + np.bincount(owner, weights=gap, minlength=len(size)).astype(np.int64)
    late = last[again] + rng.uniform(1, 50, len(again)) * MINUTE_MS
    wares = rng.choice(_CASHED_AT, len(again))
    shop = scene.directory.anywhere(rng, np.full(len(again), ONLINE), wares)
    price = scene.habits.amounts(rng, card[again], wares, np.exp(rng.normal(0.8, 0.4, len(again))))
    return Rows.concat([tests, _fraud(rng, card[again], late.astype(np.int64), shop, price, Pattern.CARD_TESTING)])


def stolen_card_spree(scene: Scene, rng: np.random.Generator, start_ms: int, count: float) -> Rows:
    """Purchases from shop to shop in one city within hours, at goods that sell on; the careful ones take two days."""
    owner, size = _episodes(rng, count / 9.0, 6, 12)
    card, begin = _victims(scene, rng, start_ms, len(size))
    careful = rng.random(len(size)) < _CAREFUL
    span = np.where(careful, rng.uniform(8, 46, len(size)), rng.uniform(0.1, 0.5, len(size))) * HOUR_MS
    time_ms = begin[owner] + (rng.random(len(owner)) * span[owner]).astype(np.int64)
    city = np.where(
        rng.random(len(size)) < 0.75,
        scene.habits.present(card, begin),
        rng.integers(0, len(CITIES), len(size)),
    )
    hidden = careful[owner]
    category = np.where(hidden, rng.choice(_ORDINARY, len(owner)), rng.choice(_SPREE_AT, len(owner)))
    merchant = scene.directory.anywhere(rng, city[owner], category)
    factor = np.where(hidden, 1.2, np.exp(rng.normal(1.6, 0.4, len(owner))))
    amount = scene.habits.amounts(rng, card[owner], category, factor)
    return _fraud(rng, card[owner], time_ms, merchant, amount, Pattern.STOLEN_CARD_SPREE)


def impossible_travel(scene: Scene, rng: np.random.Generator, start_ms: int, count: float) -> Rows:
    """A genuine purchase at home, then a copied card used too far away for any flight to reach in that time."""
    owner, size = _episodes(rng, count / 2.0, 1, 3)
    card, begin = _victims(scene, rng, start_ms, len(size))
    home = scene.habits.present(card, begin)
    everyday = rng.choice(_ORDINARY, len(size))
    shop = scene.directory.visited(rng, card, home, everyday)
    price = scene.habits.amounts(rng, card, everyday)
    genuine = Rows(card, begin, shop, price, channels(rng, shop, price), np.full(len(size), GENUINE))

    drawn = rng.integers(0, len(CITIES), (len(size), 8))
    far = distances_km()[home[:, None], drawn] >= _FAR_KM
    city = drawn[np.arange(len(size)), far.argmax(axis=1)]
    wait = np.where(rng.random(len(size)) < 0.85, rng.uniform(3, 45, len(size)), rng.uniform(60, 150, len(size)))
    gap = rng.exponential(6 * MINUTE_MS, len(owner)) + 20_000
    time_ms = begin[owner] + (wait[owner] * MINUTE_MS).astype(np.int64) + _running_total(owner, gap)
    category = rng.choice(_ABROAD_AT, len(owner))
    merchant = scene.directory.anywhere(rng, city[owner], category)
    amount = scene.habits.amounts(rng, card[owner], category, np.exp(rng.normal(0.9, 0.5, len(owner))))
    abroad = _fraud(rng, card[owner], time_ms, merchant, amount, Pattern.IMPOSSIBLE_TRAVEL)
    return Rows.concat([genuine, abroad])


def compromised_merchant(scene: Scene, rng: np.random.Generator, start_ms: int, count: float) -> Rows:
    """Purchases that look like the cardholder's own in amount, hour and place; the common point is the merchant.

    A fixed number of merchants is compromised at any time, each for four weeks. The victims are their regulars, so that
    only labels, gathered by merchant, give them away.
    """
    attempts = int(rng.poisson(count / MEAN_ACTIVITY))
    slots = max(1, round(count * DAY_MS / scene.span_ms / _STOLEN_PER_DAY))
    resident, category = _compromised(scene, start_ms // DAY_MS, slots)
    slot = rng.integers(0, slots, attempts)
    card = np.empty(attempts, dtype=np.int64)
    for chosen in np.unique(slot):
        theirs = slot == chosen
        regulars = scene.directory.regulars(int(resident[chosen]), int(category[chosen]))
        card[theirs] = rng.choice(regulars, int(theirs.sum()))
    time_ms = rng.integers(start_ms, start_ms + scene.span_ms, attempts)
    awake = np.flatnonzero(rng.random(attempts) < scene.population.activity(card, time_ms))
    card, time_ms, slot = card[awake], time_ms[awake], slot[awake]
    merchant = scene.directory.favourite(resident, category)[slot]
    amount = scene.habits.amounts(rng, card, category[slot])
    return _fraud(rng, card, time_ms, merchant, amount, Pattern.COMPROMISED_MERCHANT)


def account_takeover(scene: Scene, rng: np.random.Generator, start_ms: int, count: float) -> Rows:
    """Another person slowly makes the account his own: over days, from ordinary baskets to large transfers."""
    owner, size = _episodes(rng, count / 10.0, 6, 14)
    card, begin = _victims(scene, rng, start_ms, len(size))
    span = rng.uniform(4, 12, len(size)) * DAY_MS
    progress = rng.random(len(owner))
    time_ms = begin[owner] + (progress * span[owner]).astype(np.int64)
    bold = rng.random(len(owner)) < progress
    category = np.where(bold, rng.choice(_CASHED_AT, len(owner)), rng.choice(_ORDINARY, len(owner)))
    merchant = scene.directory.anywhere(rng, np.full(len(owner), ONLINE), category)
    amount = scene.habits.amounts(rng, card[owner], category, 1 + 5 * progress**2)
    return _fraud(rng, card[owner], time_ms, merchant, amount, Pattern.ACCOUNT_TAKEOVER)


def large_one_off(scene: Scene, rng: np.random.Generator, start_ms: int, count: float) -> Rows:
    """One purchase, several times what the card usually pays, mostly online."""
    total = int(rng.poisson(count))
    card, time_ms = _victims(scene, rng, start_ms, total)
    category = rng.choice(_CASHED_AT, total)
    place = np.where(rng.random(total) < 0.65, ONLINE, scene.habits.present(card, time_ms))
    merchant = scene.directory.anywhere(rng, place, category)
    factor = np.where(rng.random(total) < _CAREFUL, 1.5, np.exp(rng.uniform(2.7, 3.8, total)))
    amount = scene.habits.amounts(rng, card, category, factor)
    return _fraud(rng, card, time_ms, merchant, amount, Pattern.LARGE_ONE_OFF)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a pattern is made, and for how many days after the span in which it begins an episode may go on."""

    make: Callable[[Scene, np.random.Generator, int, float], Rows]
    reach_days: int


RECIPES: Mapping[Pattern, Recipe] = MappingProxyType(
    {
        Pattern.CARD_TESTING: Recipe(card_testing, 1),
        Pattern.STOLEN_CARD_SPREE: Recipe(stolen_card_spree, 2),
        Pattern.IMPOSSIBLE_TRAVEL: Recipe(impossible_travel, 1),
        Pattern.COMPROMISED_MERCHANT: Recipe(compromised_merchant, 0),
        Pattern.ACCOUNT_TAKEOVER: Recipe(account_takeover, 12),
        Pattern.LARGE_ONE_OFF: Recipe(large_one_off, 0),
    }
)


def _episodes(rng: np.random.Generator, expected: float, least: int, most: int) -> tuple[Ints, Ints]:
    """Draw a number of episodes; return each transaction's episode and each episode's size."""
    size = rng.integers(least, most, int(rng.poisson(expected)), endpoint=True)
    return np.repeat(np.arange(len(size)), size), size


def _victims(scene: Scene, rng: np.random.Generator, start_ms: int, count: int) -> tuple[Ints, Ints]:
    """Draw cards, by how much they are used, and the moments at which their fraud begins."""
    return scene.population.draw(rng, count), rng.integers(start_ms, start_ms + scene.span_ms, count)


def _running_total(owner: Ints, steps: Floats) -> Ints:
    """Return the cumulative sums of `steps` within each run of equal owners, the first step left out."""
    if not len(owner):
        return np.empty(0, dtype=np.int64)
    total = np.cumsum(steps)
    return (total - total[np.searchsorted(owner, owner)]).astype(np.int64)


def _compromised(scene: Scene, day: int, slots: int) -> tuple[Ints, Ints]:
    """Return who leads to the merchants that are compromised on a day since 1970, one per slot.

    A compromised merchant is the favourite of some resident: returned are that card, and the category.
    """
    slot = np.arange(slots)
    seed = scene.population.seed
    phase = uniform(seed, Purpose.COMPROMISE, slot, 0) * _COMPROMISE_DAYS
    period = ((day + phase) // _COMPROMISE_DAYS).astype(np.int64)
    resident = (uniform(seed, Purpose.COMPROMISE, slot, period, 1) * scene.population.size).astype(np.int64)
    kind = (uniform(seed, Purpose.COMPROMISE, slot, period, 2) * len(_SKIMMED_AT)).astype(np.int64)
    return resident, _SKIMMED_AT[kind]


def _fraud(rng: np.random.Generator, card: Ints, time_ms: Ints, merchant: Ints, amount: Ints, pattern: Pattern) -> Rows:
    channel = np.where(place_of(merchant) == ONLINE, ECOMMERCE, channels(rng, merchant, amount))
    return Rows(card, time_ms, merchant, amount, channel, np.full(len(card), PATTERNS.index(pattern)))
