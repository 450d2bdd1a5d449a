"""The cardholders: homes, habits and journeys, as functions of the seed and the card's index."""

import numpy as np
import numpy.typing as npt

from shared.simulation import categories
from shared.simulation.categories import WEEKDAY_HOURS, WEEKEND_HOURS
from shared.simulation.cities import CITIES, CUMULATIVE_WEIGHT, UTC_OFFSET_MS, distances_km
from shared.simulation.config import DAY_MS, HOUR_MS
from shared.simulation.noise import Floats, Ints, Purpose, normal, uniform

Mask = npt.NDArray[np.bool_]

NOWHERE = -1
TRIP_PERIOD_DAYS = 45
TRIP_LONGEST_DAYS = 9.0
TRIP_CHANCE = 0.45
CRUISE_KM_PER_HOUR = 750.0
PAYDAYS = np.array([1, 5, 15, 25, 28])
NEIGHBOURHOOD_SIZE = 1_000
_SALARY_BOOST = 0.45
_SALARY_FADES_DAYS = 6.0
_LIVELIEST_HOUR = max(WEEKDAY_HOURS.max(), WEEKEND_HOURS.max())
_AT_ONCE = 1 << 18  # bounds the memory of making millions of cards

MEAN_ACTIVITY = float(
    (5 * WEEKDAY_HOURS.mean() + 2 * WEEKEND_HOURS.mean())
    / (7 * _LIVELIEST_HOUR)
    * (1 + _SALARY_BOOST * np.exp(-np.arange(31) / _SALARY_FADES_DAYS).mean())
    / (1 + _SALARY_BOOST)
)
"""Mean of `Population.activity` over cards and times."""


class Population:
    """All cards of a simulation.

    Cards live in neighbourhoods of some thousand, which share their local merchants.

    Attributes:
        size: Number of cards; they are indexed 0 to size - 1.
        home: Index of each card's home city.
        neighbourhoods: Number of neighbourhoods of each city.
        neighbourhood: Each card's neighbourhood, numbered within its city.
    """

    def __init__(self, seed: int, size: int) -> None:
        self.seed = seed
        self.size = size
        parts = [np.arange(begin, min(begin + _AT_ONCE, size)) for begin in range(0, size, _AT_ONCE)]
        self.home = np.concatenate([_home(seed, cards) for cards in parts])
        residents = np.bincount(self.home, minlength=len(CITIES))
        self.neighbourhoods = np.maximum(-(-residents // NEIGHBOURHOOD_SIZE), 1)
        self.neighbourhood = np.concatenate([self._neighbourhood(cards) for cards in parts])
        self._first_neighbourhood = np.concatenate([[0], np.cumsum(self.neighbourhoods)])
        address = (self._first_neighbourhood[self.home] + self.neighbourhood).astype(np.int32)
        self._by_address = np.argsort(address, kind="stable").astype(np.int32)
        self._first_at = np.concatenate([[0], np.cumsum(np.bincount(address, minlength=self.neighbourhoods.sum()))])
        self._cumulative_activity = np.concatenate([np.exp(0.5 * normal(seed, Purpose.ACTIVITY, c)) for c in parts])
        np.cumsum(self._cumulative_activity, out=self._cumulative_activity)

    def draw(self, rng: np.random.Generator, count: int) -> Ints:
        """Draw cards with replacement, each by how active it is."""
        point = rng.random(count) * self._cumulative_activity[-1]
        return np.asarray(np.searchsorted(self._cumulative_activity, point, side="right"))

    def neighbours(self, card: int) -> Ints:
        """Return the cards of a card's neighbourhood, itself included."""
        address = self._first_neighbourhood[self.home[card]] + self.neighbourhood[card]
        theirs = slice(self._first_at[address], self._first_at[address + 1])
        cards: Ints = self._by_address[theirs].astype(np.int64)
        return cards

    def local_time_ms(self, card: Ints, time_ms: Ints) -> Ints:
        """Return the wall-clock time at home, in milliseconds like a UTC time."""
        return np.asarray(time_ms + UTC_OFFSET_MS[self.home[card]])

    def activity(self, card: Ints, time_ms: Ints) -> Floats:
        """Return how likely a card buys at a time, relative to its liveliest hour: nights, weekends and salary."""
        local = self.local_time_ms(card, time_ms)
        hour = local // HOUR_MS % 24
        by_hour = np.where(is_weekend(local), WEEKEND_HOURS[hour], WEEKDAY_HOURS[hour])
        return np.asarray(by_hour / _LIVELIEST_HOUR * self.affluence(card, local) / (1 + _SALARY_BOOST))

    def affluence(self, card: Ints, local_ms: Ints) -> Floats:
        """Return the salary cycle's factor: highest on payday, fading over the following week."""
        payday = PAYDAYS[(uniform(self.seed, Purpose.PAYDAY, card) * len(PAYDAYS)).astype(np.int64)]
        date = (local_ms // DAY_MS).astype("datetime64[D]")
        day_of_month = (date - date.astype("datetime64[M]")).astype(np.int64) + 1
        since = (day_of_month - payday) % 31
        return np.asarray(1 + _SALARY_BOOST * np.exp(-since / _SALARY_FADES_DAYS))

    def spending(self, card: Ints) -> Floats:
        """Return the logarithm of each card's spending level, 0 for a typical card."""
        return 0.45 * normal(self.seed, Purpose.SPENDING, card)

    def online_share(self, card: Ints) -> Floats:
        """Return each card's inclination to buy online: 0.4 to 2.0, 1 on average."""
        return np.asarray(0.4 + 1.6 * uniform(self.seed, Purpose.ONLINE_SHARE, card) ** 1.65)

    def likes(self, card: Ints, category: Ints) -> Mask:
        """Tell which cards ever buy in a category: few people gamble or trade crypto, those who do return."""
        return np.asarray(uniform(self.seed, Purpose.TASTE, card, category) < categories.TASTE[category])

    def whereabouts(self, card: Ints, time_ms: Ints) -> Ints:
        """Return the index of the city each card is in, `NOWHERE` while it is on its way."""
        phase = uniform(self.seed, Purpose.TRIP, card, 0) * TRIP_PERIOD_DAYS
        days = time_ms / DAY_MS + phase
        period = np.floor(days / TRIP_PERIOD_DAYS).astype(np.int64)
        within = days - period * TRIP_PERIOD_DAYS

        def number(index: int) -> Floats:
            return uniform(self.seed, Purpose.TRIP, card, period, index)

        travels = number(1) < TRIP_CHANCE
        length = 1 + (TRIP_LONGEST_DAYS - 1) * number(2) ** 2
        begin = number(3) * (TRIP_PERIOD_DAYS - length)
        home = self.home[card].astype(np.int64)
        destination = np.searchsorted(CUMULATIVE_WEIGHT, number(4), side="right")
        flight = (distances_km()[home, destination] / CRUISE_KM_PER_HOUR + 2.5) / 24
        away = travels & (destination != home) & (within >= begin) & (within < begin + length)
        on_the_way = away & ((within < begin + flight) | (within >= begin + length - flight))
        return np.where(on_the_way, NOWHERE, np.where(away, destination, home))

    def _neighbourhood(self, card: Ints) -> npt.NDArray[np.int16]:
        number = uniform(self.seed, Purpose.NEIGHBOURHOOD, card) * self.neighbourhoods[self.home[card]]
        return np.asarray(number, dtype=np.int16)


def is_weekend(local_ms: Ints) -> Mask:
    """Tell which local times fall on a Saturday or Sunday (1970-01-01 was a Thursday)."""
    return np.asarray((local_ms // DAY_MS + 3) % 7 >= 5)


def _home(seed: int, card: Ints) -> npt.NDArray[np.int16]:
    home = np.searchsorted(CUMULATIVE_WEIGHT, uniform(seed, Purpose.HOME, card), side="right")
    return home.astype(np.int16)
