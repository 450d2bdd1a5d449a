"""When event time is wall-clock time: the fixed schedule of an open loop."""

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

    A start is chosen so that event time ends at the present: the whole run takes `count / rate` seconds, in which event
    time passes `speedup` times as fast as the clock. Endless faster traffic starts 30 days back, and ends when it has
    caught up with the clock.

    Raises:
        OvertakesClock: The given start lies too close to the present for the speed-up and the number of transactions.
    """
    duration_ms = None if settings.count is None else settings.count / settings.rate * 1e3
    ahead = settings.speedup - 1
    if settings.start is not None:
        start_ms = to_milliseconds(settings.start)
    else:
        start_ms = now_ms - round(ENDLESS_HISTORY_MS * min(ahead, 1) if duration_ms is None else ahead * duration_ms)
    if start_ms > now_ms:
        raise OvertakesClock("--start lies in the future")
    if settings.start is not None and duration_ms is not None and start_ms + ahead * duration_ms > now_ms:
        latest = (now_ms - start_ms) / 1e3
        raise OvertakesClock(
            f"--start is {latest:.0f} s back, but the traffic would gain {ahead * duration_ms / 1e3:.0f} s on the clock"
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
