"""Genuine purchases: everyday ones, and the bursts and big tickets that resemble fraud."""

import numpy as np

from shared.simulation import categories, merchants
from shared.simulation.categories import ATM, CONTACTLESS, ECOMMERCE, INDEX, MOTO, POS, names
from shared.simulation.config import GENUINE, HOUR_MS
from shared.simulation.merchants import ONLINE, Merchants
from shared.simulation.noise import Floats, Ints
from shared.simulation.population import NOWHERE, Population, is_weekend
from shared.simulation.rows import Rows

SMALLEST_AMOUNT = 50
LARGEST_AMOUNT = 5_000_000
_CONTACTLESS_LIMIT = 5_000
_EVERYDAY = names("grocery", "restaurant", "pharmacy", "online_marketplace", "entertainment")
_ABROAD = names("restaurant", "hotel", "entertainment", "restaurant", "grocery")
_SHOPPING = names("clothing", "electronics", "grocery", "restaurant", "pharmacy", "jewelry", "gift_cards", "clothing")
_BIG_TICKETS = names("travel", "electronics", "jewelry", "hotel", "clothing", "money_transfer", "online_marketplace")
_GAMES = names("gambling", "entertainment", "online_marketplace", "gambling")


class Habits:
    """Makes genuine transactions of a population at its merchants."""

    def __init__(self, population: Population, directory: Merchants) -> None:
        self._population = population
        self._directory = directory
        self._choice = categories.category_choice()

    def everyday(self, rng: np.random.Generator, start_ms: int, end_ms: int, count: int) -> Rows:
        """Make exactly `count` everyday purchases in [start_ms, end_ms), in no order.

        Candidates are thinned by the cards' activity (Lewis and Shedler, 1979), so that who buys follows the local
        hour, the weekend and the salary while the total stays what was asked.
        """
        parts: list[Rows] = []
        missing = count
        while missing > 0:
            attempts = int(missing * 2.6) + 64
            card = self._population.draw(rng, attempts)
            time_ms = rng.integers(start_ms, end_ms, attempts)
            where = self._population.whereabouts(card, time_ms)
            keep = (rng.random(attempts) < self._population.activity(card, time_ms)) & (where != NOWHERE)
            chosen = np.flatnonzero(keep)[:missing]
            parts.append(self._purchases(rng, card[chosen], time_ms[chosen], where[chosen]))
            missing -= len(chosen)
        return Rows.concat(parts)

    def lookalikes(self, rng: np.random.Generator, start_ms: int, span_ms: int, count: float) -> Rows:
        """Make genuine sprees: shopping trips, gaming evenings, and single big tickets.

        Args:
            rng: Source of the choices.
            start_ms: Beginning of the span of event time.
            span_ms: Its length.
            count: Expected number of transactions.

        Returns:
            Transactions that begin within the span and end at most four hours after it.
        """
        return Rows.concat(
            [
                self._spree(rng, start_ms, span_ms, 0.6 * count, _SHOPPING, longest_ms=4 * HOUR_MS),
                self._spree(rng, start_ms, span_ms, 0.2 * count, _GAMES, longest_ms=HOUR_MS),
                self._big_tickets(rng, start_ms, span_ms, 0.2 * count),
            ]
        )

    def amounts(self, rng: np.random.Generator, card: Ints, category: Ints, factor: Floats | float = 1.0) -> Ints:
        """Draw lognormal amounts in minor units, by category and the card's spending level, times `factor`."""
        log_amount = (
            categories.LOG_MEDIAN[category]
            + self._population.spending(card)
            + categories.SIGMA[category] * rng.standard_normal(len(card))
        )
        return rounded(np.exp(log_amount) * factor, category)

    def present(self, card: Ints, time_ms: Ints) -> Ints:
        """Return the city of each card, its home where it is on its way."""
        where = self._population.whereabouts(card, time_ms)
        return np.where(where == NOWHERE, self._population.home[card], where)

    def _purchases(self, rng: np.random.Generator, card: Ints, time_ms: Ints, where: Ints) -> Rows:
        count = len(card)
        local = self._population.local_time_ms(card, time_ms)
        table = self._choice[is_weekend(local).astype(np.int64), local // HOUR_MS % 24]
        category = np.minimum((rng.random(count)[:, None] >= table).sum(axis=1), table.shape[1] - 1)
        disliked = ~self._population.likes(card, category)
        category = np.where(disliked, rng.choice(_EVERYDAY, count), category)
        abroad = (where != self._population.home[card]) & (rng.random(count) < 0.5)
        category = np.where(abroad, rng.choice(_ABROAD, count), category)
        wants_online = categories.ONLINE[category] * self._population.online_share(card)
        online = (rng.random(count) < wants_online) | (category == INDEX["online_marketplace"])
        place = np.where(online, ONLINE, where)
        amount = self.amounts(rng, card, category, self._population.affluence(card, local) ** 0.5)
        merchant = self._directory.visited(rng, card, place, category)
        return Rows(card, time_ms, merchant, amount, channels(rng, merchant, amount), np.full(count, GENUINE))

    def _spree(
        self, rng: np.random.Generator, start_ms: int, span_ms: int, count: float, wares: Ints, longest_ms: int
    ) -> Rows:
        """Make runs of 3 to 8 purchases each: around several shops, or again and again at one merchant."""
        episodes = rng.poisson(count / 5.0)
        size = rng.integers(3, 8, episodes, endpoint=True)[:episodes]
        owner = np.repeat(np.arange(episodes), size)
        card = self._population.draw(rng, episodes)[owner]
        begin = rng.integers(start_ms, start_ms + span_ms, episodes)
        length = rng.uniform(0.1, 1.0, episodes) * longest_ms
        time_ms = begin[owner] + (rng.random(len(owner)) * length[owner]).astype(np.int64)
        where = self.present(card, begin[owner])
        one_shop = longest_ms <= HOUR_MS
        category = rng.choice(wares, episodes)[owner] if one_shop else rng.choice(wares, len(owner))
        place = np.where((category == INDEX["gambling"]) | (category == INDEX["online_marketplace"]), ONLINE, where)
        merchant = self._directory.visited(rng, card, place, category)
        if one_shop:
            merchant = merchant[np.searchsorted(owner, owner)]  # all of a run at the first one's merchant
        amount = self.amounts(rng, card, category, 0.7 if one_shop else 1.2)
        return Rows(card, time_ms, merchant, amount, channels(rng, merchant, amount), np.full(len(card), GENUINE))

    def _big_tickets(self, rng: np.random.Generator, start_ms: int, span_ms: int, count: float) -> Rows:
        total = rng.poisson(count)
        card = self._population.draw(rng, total)
        time_ms = rng.integers(start_ms, start_ms + span_ms, total)
        category = rng.choice(_BIG_TICKETS, total)
        online = rng.random(total) < categories.ONLINE[category]
        place = np.where(online, ONLINE, self.present(card, time_ms))
        merchant = self._directory.visited(rng, card, place, category)
        amount = self.amounts(rng, card, category, np.exp(rng.uniform(0.7, 2.3, total)))
        return Rows(card, time_ms, merchant, amount, channels(rng, merchant, amount), np.full(total, GENUINE))


def channels(rng: np.random.Generator, merchant: Ints, amount: Ints) -> Ints:
    """Return the channel of each purchase by where it is made, what it is and how much it costs."""
    category = merchants.category_of(merchant)
    draw = rng.random(len(merchant))
    card_present = np.where((amount < _CONTACTLESS_LIMIT) & (draw < 0.75), CONTACTLESS, POS)
    card_present = np.where((category == INDEX["money_transfer"]) & (draw < 0.7), ATM, card_present)
    by_mail = ((category == INDEX["travel"]) | (category == INDEX["hotel"])) & (draw < 0.05)
    online = np.where(by_mail, MOTO, ECOMMERCE)
    return np.where(merchants.place_of(merchant) == ONLINE, online, card_present)


def rounded(amount: Floats, category: Ints) -> Ints:
    """Return whole minor units: gift cards and transfers in steps of 5.00, a part of the rest as x.00, x.50 or x.99."""
    whole = np.clip(amount, SMALLEST_AMOUNT, LARGEST_AMOUNT).astype(np.int64)
    stepped = (category == INDEX["gift_cards"]) | (category == INDEX["money_transfer"])
    in_steps = np.maximum(whole // 500, 2) * 500
    ending = np.array([100, 100, 50, 99])[whole % 4]
    priced = np.where(whole % 5 < 2, np.maximum(whole // 100 * 100 + ending - 100, SMALLEST_AMOUNT), whole)
    return np.where(stepped, in_steps, priced)
