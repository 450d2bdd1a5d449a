"""Merchant categories: what is bought where, when, for how much, and by which share of the cards."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Category(NamedTuple):
    """One merchant category.

    Attributes:
        name: Wire value of `merchant_category`.
        median: Median amount of a purchase in minor units.
        sigma: Standard deviation of the logarithm of the amount.
        visits: Relative frequency at night, in the morning, at midday and in the evening (local time).
        weekend: Factor on the frequency on Saturdays and Sundays.
        online: How much of it is bought online by a card of average online share (0 to 1).
        taste: Share of the cards that ever buy it.
        density: Physical merchants per 1,000 cards of a city.
        online_density: Online merchants per 1,000 cards of the whole population.
    """

    name: str
    median: int
    sigma: float
    visits: tuple[float, float, float, float]
    weekend: float
    online: float
    taste: float
    density: float
    online_density: float


CATEGORIES: tuple[Category, ...] = (
    Category("grocery", 2_600, 0.75, (3, 20, 20, 26), 1.15, 0.08, 1.0, 70, 2),
    Category("restaurant", 1_900, 0.65, (8, 10, 24, 26), 1.35, 0.12, 1.0, 90, 3),
    Category("fuel", 4_700, 0.45, (4, 10, 7, 7), 1.0, 0.0, 0.7, 25, 0.2),
    Category("pharmacy", 1_500, 0.70, (1, 5, 6, 4), 0.8, 0.15, 1.0, 25, 1),
    Category("clothing", 4_900, 0.75, (1, 3, 8, 6), 1.6, 0.45, 1.0, 40, 6),
    Category("electronics", 9_500, 0.85, (1, 1.5, 3, 3), 1.3, 0.55, 1.0, 15, 4),
    Category("travel", 14_000, 0.80, (1, 2, 2, 2.5), 1.0, 0.80, 0.6, 5, 3),
    Category("hotel", 15_000, 0.70, (1, 1.5, 1.2, 2), 1.2, 0.55, 0.5, 12, 3),
    Category("entertainment", 2_100, 0.75, (5, 2, 5, 9), 1.7, 0.45, 1.0, 25, 4),
    Category("online_marketplace", 3_300, 0.95, (7, 9, 12, 17), 1.1, 1.0, 1.0, 1, 8),
    Category("utilities", 6_000, 0.60, (1, 4, 4, 2), 0.5, 0.70, 1.0, 3, 1),
    Category("jewelry", 11_000, 0.70, (0.1, 0.6, 1.8, 1.2), 1.4, 0.30, 0.30, 6, 1),
    Category("gift_cards", 4_500, 0.60, (0.6, 1.5, 2.5, 2.8), 1.3, 0.60, 0.30, 6, 2),
    Category("crypto", 9_000, 0.80, (4, 3, 4, 6), 1.0, 1.0, 0.08, 0.2, 1),
    Category("gambling", 2_600, 0.80, (12, 3, 5, 12), 1.4, 0.90, 0.10, 2, 2),
    Category("money_transfer", 11_000, 0.70, (1, 4, 5, 4), 0.8, 0.65, 0.35, 8, 1),
)

INDEX: dict[str, int] = {category.name: index for index, category in enumerate(CATEGORIES)}
CHANNELS: tuple[str, ...] = ("pos", "contactless", "ecommerce", "atm", "moto")
POS, CONTACTLESS, ECOMMERCE, ATM, MOTO = range(5)

LOG_MEDIAN: npt.NDArray[np.float64] = np.log([category.median for category in CATEGORIES])
SIGMA: npt.NDArray[np.float64] = np.array([category.sigma for category in CATEGORIES])
ONLINE: npt.NDArray[np.float64] = np.array([category.online for category in CATEGORIES])
TASTE: npt.NDArray[np.float64] = np.array([category.taste for category in CATEGORIES])

# Relative activity of a cardholder by local hour, 0 to 23 o'clock.
WEEKDAY_HOURS: npt.NDArray[np.float64] = np.array(
    [8, 5, 3, 2, 2, 4, 12, 28, 42, 44, 46, 54, 66, 58, 48, 48, 54, 68, 76, 66, 50, 36, 24, 14], dtype=np.float64
)
WEEKEND_HOURS: npt.NDArray[np.float64] = np.array(
    [18, 13, 9, 6, 4, 4, 7, 14, 28, 46, 62, 72, 74, 68, 64, 62, 62, 62, 64, 62, 54, 44, 36, 27], dtype=np.float64
)


def category_choice() -> npt.NDArray[np.float64]:
    """Return cumulative probabilities of the categories, shape (2 for weekday and weekend, 24 hours, categories)."""
    part_of_hour = np.searchsorted([6, 11, 17], np.arange(24), side="right")
    visits = np.array([category.visits for category in CATEGORIES])[:, part_of_hour].T
    weekend = visits * np.array([category.weekend for category in CATEGORIES])
    both = np.stack([visits, weekend])
    return np.asarray(np.cumsum(both / both.sum(axis=2, keepdims=True), axis=2))


def names(*wanted: str) -> npt.NDArray[np.int64]:
    """Return the indices of the named categories."""
    return np.array([INDEX[name] for name in wanted])
