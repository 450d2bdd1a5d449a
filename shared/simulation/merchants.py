"""The merchants: how many there are where, which ones a card returns to, and what their codes say.

A merchant's code is `(place * categories + category) * NUMBERS + number`: place and category need no table. The place
is a city's index, or `ONLINE`.
"""

import numpy as np

from shared.simulation.categories import CATEGORIES
from shared.simulation.cities import CITIES, CUMULATIVE_WEIGHT
from shared.simulation.noise import Ints, Purpose, uniform
from shared.simulation.population import Population

ONLINE = len(CITIES)
NUMBERS = 1 << 16
_FAVOURITES = np.array([0.5, 0.75, 0.9, 1.0])  # cumulative: the first of four favourites gets half of the visits
_LOYALTY = 0.8


def code(place: Ints, category: Ints, number: Ints) -> Ints:
    """Return the merchants' codes."""
    return (place * len(CATEGORIES) + category) * NUMBERS + number


def place_of(merchant: Ints) -> Ints:
    """Return the index of the merchants' city, or `ONLINE`."""
    return merchant // (NUMBERS * len(CATEGORIES))


def category_of(merchant: Ints) -> Ints:
    """Return the index of the merchants' category."""
    return merchant // NUMBERS % len(CATEGORIES)


class Merchants:
    """The merchants that a population of a given size keeps in business."""

    def __init__(self, population: Population) -> None:
        self._seed = population.seed
        self._population = population
        residents = np.bincount(population.home, minlength=len(CITIES))
        physical = residents[:, None] * np.array([category.density for category in CATEGORIES]) / 1000
        online = population.size * np.array([category.online_density for category in CATEGORIES]) / 1000
        at_least = np.where(np.arange(len(CITIES) + 1) == ONLINE, 5, 2)[:, None]
        self._count = np.minimum(np.maximum(np.vstack([physical, online]).astype(np.int64), at_least), NUMBERS)

    def visited(self, rng: np.random.Generator, card: Ints, place: Ints, category: Ints) -> Ints:
        """Draw where cards buy: mostly at favourites when at home or online, now and then anywhere.

        Args:
            rng: Source of the choices.
            card: Card of each purchase.
            place: City index or `ONLINE` of each purchase.
            category: Category of each purchase.

        Returns:
            Merchant codes.
        """
        count = self._count[place, category]
        rank = np.searchsorted(_FAVOURITES, rng.random(len(card)), side="right")
        favourite = self._favourite(card, place, category, rank)
        anywhere = (rng.random(len(card)) ** 1.5 * count).astype(np.int64)
        familiar = (place == ONLINE) | (place == self._population.home[card])
        loyal = familiar & (rng.random(len(card)) < _LOYALTY)
        return code(place, category, np.where(loyal, favourite, anywhere))

    def anywhere(self, rng: np.random.Generator, place: Ints, category: Ints) -> Ints:
        """Draw merchants of the given places and categories without regard to anybody's habits."""
        count = self._count[place, category]
        return code(place, category, (rng.random(len(place)) * count).astype(np.int64))

    def favourite(self, card: Ints, category: Ints) -> Ints:
        """Return the merchant near home at which each card buys most of a category."""
        home = self._population.home[card].astype(np.int64)
        return code(home, category, self._favourite(card, home, category, np.zeros_like(card)))

    def regulars(self, card: int, category: int) -> Ints:
        """Return the neighbours of a card that have its favourite merchant among theirs, itself included."""
        neighbours = self._population.neighbours(card)
        home = np.full(len(neighbours), self._population.home[card], dtype=np.int64)
        categories = np.full(len(neighbours), category)
        ranks = [np.full(len(neighbours), rank) for rank in range(len(_FAVOURITES))]
        favourites = [code(home, categories, self._favourite(neighbours, home, categories, rank)) for rank in ranks]
        merchant = self.favourite(np.array([card]), np.array([category]))[0]
        return neighbours[np.any(np.stack(favourites) == merchant, axis=0)]

    def head_office(self, merchant: Ints) -> Ints:
        """Return the city index of each merchant's head office; for a physical merchant its own city."""
        chosen = np.searchsorted(CUMULATIVE_WEIGHT, uniform(self._seed, Purpose.MERCHANT_PLACE, merchant), side="right")
        place = place_of(merchant)
        return np.where(place == ONLINE, chosen, place)

    def location(self, merchant: Ints) -> Ints:
        """Return the city of the merchants' terminals, -1 for online merchants, which have none."""
        place = place_of(merchant)
        return np.where(place == ONLINE, -1, place)

    def _favourite(self, card: Ints, place: Ints, category: Ints, rank: Ints) -> Ints:
        online = place == ONLINE
        count = self._count[place, category]
        drawn = uniform(self._seed, Purpose.FAVOURITE, card, category, rank, online)
        # Skewed, so that some merchants are everybody's favourite, online ones above all.
        of_all = (drawn**3 * count).astype(np.int64)
        home = self._population.home[card]
        nearby = np.maximum(count // self._population.neighbourhoods[home], 1)
        local = (self._population.neighbourhood[card] * nearby + (drawn**1.5 * nearby).astype(np.int64)) % count
        return np.where(online, of_all, local)
