"""What can be set about the simulated traffic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

TRANSACTIONS_PER_CARD_AND_DAY = 3.0
SMALLEST_POPULATION = 40


class Pattern(StrEnum):
    """A kind of fraud; the value is what label events carry as `pattern`."""

    CARD_TESTING = "card_testing"
    STOLEN_CARD_SPREE = "stolen_card_spree"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    COMPROMISED_MERCHANT = "compromised_merchant"
    ACCOUNT_TAKEOVER = "account_takeover"
    LARGE_ONE_OFF = "large_one_off"


PATTERNS: tuple[Pattern, ...] = tuple(Pattern)
GENUINE = -1

DEFAULT_MIX: Mapping[Pattern, float] = MappingProxyType(
    {
        Pattern.CARD_TESTING: 0.30,
        Pattern.STOLEN_CARD_SPREE: 0.31,
        Pattern.IMPOSSIBLE_TRAVEL: 0.15,
        Pattern.COMPROMISED_MERCHANT: 0.09,
        Pattern.ACCOUNT_TAKEOVER: 0.07,
        Pattern.LARGE_ONE_OFF: 0.08,
    }
)


def mix_with(shares: Mapping[Pattern, float]) -> Mapping[Pattern, float]:
    """Return the default mix with some patterns' shares of the fraud set; the others keep their proportions.

    Raises:
        ValueError: A share is outside [0, 1], or the shares cannot add up to 1.
    """
    if not shares:
        return DEFAULT_MIX
    if any(not 0 <= share <= 1 for share in shares.values()):
        raise ValueError("a pattern's share of the fraud must be between 0 and 1")
    rest = 1 - sum(shares.values())
    others = {pattern: share for pattern, share in DEFAULT_MIX.items() if pattern not in shares}
    if rest < -1e-9 or (not others and rest > 1e-9):
        raise ValueError(f"the patterns' shares of the fraud add up to {1 - rest:g} instead of 1")
    scale = max(rest, 0.0) / sum(others.values()) if others else 0.0
    return MappingProxyType({p: shares[p] if p in shares else others[p] * scale for p in PATTERNS})


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Everything the traffic depends on: equal configurations give equal traffic, event for event.

    Attributes:
        start_ms: Event time of the beginning, UTC milliseconds.
        transactions_per_day: Expected transactions per day of event time; the number of cards follows from it.
        seed: People, merchants and events.
        fraud_share: Share of all transactions that are fraudulent once every pattern is on.
        mix: Each pattern's share of the fraud; sums to 1.
        onset_days: Patterns that begin only so many days after the start; until then their share is simply missing.
        label_delay_days: Shortest and longest time from a fraud to its label, in days of event time.
        late_share: Share of transactions delivered 5 s to 6 h after their event time (terminals that were offline).
        duplicate_share: Share of transactions delivered a second time.
        currency: The issuer's billing currency, of all amounts.
    """

    start_ms: int
    transactions_per_day: float
    seed: int = 7
    fraud_share: float = 0.009
    mix: Mapping[Pattern, float] = field(default_factory=lambda: DEFAULT_MIX)
    onset_days: Mapping[Pattern, float] = field(default_factory=lambda: MappingProxyType({}))
    label_delay_days: tuple[float, float] = (2.0, 14.0)
    late_share: float = 0.01
    duplicate_share: float = 0.005
    currency: str = "EUR"

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            ValueError: A value is out of its range; the message names it.
        """
        if self.start_ms < 0 or self.seed < 0:
            raise ValueError("start_ms and seed must not be negative")
        if self.transactions_per_day <= 0:
            raise ValueError("transactions_per_day must be positive")
        for name in ("fraud_share", "late_share", "duplicate_share"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ValueError(f"{name} must be between 0 and 0.5")
        if abs(sum(self.mix.values()) - 1) > 1e-6 or min(self.mix.values()) < 0:
            raise ValueError("mix must be shares that add up to 1")
        shortest, longest = self.label_delay_days
        if not 0 <= shortest <= longest:
            raise ValueError("label_delay_days must be a shortest and a longest delay")

    @property
    def cards(self) -> int:
        """Number of cards whose natural activity gives the asked volume."""
        return max(SMALLEST_POPULATION, round(self.transactions_per_day / TRANSACTIONS_PER_CARD_AND_DAY))

    def onset_ms(self, pattern: Pattern) -> int:
        """Return the event time before which `pattern` does not occur; 0 when it always did."""
        if pattern not in self.onset_days:
            return 0
        return self.start_ms + int(self.onset_days[pattern] * DAY_MS)

    def share(self, pattern: Pattern) -> float:
        """Return the share of all transactions that `pattern` has once it is on."""
        return self.fraud_share * self.mix.get(pattern, 0.0)
