"""When event time is wall-clock time: the fixed schedule of an open loop."""

import math
from dataclasses import dataclass

from functions.producer.settings import ProducerSettings
from shared.contracts.event_time import to_milliseconds
from shared.simulation.config import DAY_MS, SimulationConfig, mix_with

ENDLESS_HISTORY_MS = 30 * DAY_MS
_SECONDS_PER_DAY = 86_400


class OvertakesClock(ValueError):
    """The traffic would reach event times in the future, which the scorer refuses."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A straight line between event time and the clock of the event loop.

    Attributes:
        start_ms: Event time at the beginning.
        origin: Reading of the clock at the beginning, in seconds.
        speedup: Seconds of event time per second of the clock.
    """

    start_ms: int
    origin: float
    speedup: float

    def intended(self, due_ms: int) -> float:
        """Return the clock reading at which something due at an event time is to be sent."""
        return self.origin + (due_ms - self.start_ms) / 1e3 / self.speedup


def simulation(settings: ProducerSettings, now_ms: int) -> SimulationConfig:
    """Return the traffic that the settings ask for, with its start.

    A start is chosen so that event time does not pass the clock: the run takes about `count / rate` seconds, in which
    event time goes `speedup` times as fast. Endless faster traffic starts 30 days back, and ends when it has caught up.

    Raises:
        OvertakesClock: The given start lies too close to the present for the speed-up and the number of transactions.
    """
    ahead = settings.speedup - 1
    gain_ms = None if settings.count is None else ahead * _longest_ms(settings.count, settings.rate)
    if settings.start is None:
        start_ms = now_ms - round(ENDLESS_HISTORY_MS * min(ahead, 1) if gain_ms is None else gain_ms)
    else:
        start_ms = to_milliseconds(settings.start)
        back_ms = now_ms - start_ms
        if back_ms < 0:
            raise OvertakesClock("the start lies in the future")
        if gain_ms is not None and gain_ms > back_ms:
            raise OvertakesClock(
                f"the start is {back_ms / 1e3:,.0f} s back, and the traffic may gain {gain_ms / 1e3:,.0f} s on that"
            )
    return SimulationConfig(
        start_ms=start_ms,
        transactions_per_day=settings.rate * _SECONDS_PER_DAY / settings.speedup,
        seed=settings.seed,
        fraud_share=settings.fraud_share,
        mix=mix_with(settings.shares),
        onset_days=settings.onset_days,
        label_delay_days=settings.label_delay_days,
    )


def _longest_ms(count: int, rate: float) -> float:
    """Return how long so many transactions may take: eight standard deviations of a Poisson process beyond the mean."""
    return (count + 8 * math.sqrt(count) + 10) / rate * 1e3
