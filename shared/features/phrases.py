"""How a feature's value is said in a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass, replace

FLAG = "flag"
"""Unit of features that are 0 or 1."""

_UNITS_MS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


def span(milliseconds: int) -> str:
    """A length of time in words, in the largest unit that divides it: "10 minutes", "hour", "24 hours".

    Raises:
        ValueError: The length is not a whole number of seconds.
    """
    for length, unit in _UNITS_MS:
        if milliseconds % length == 0:
            number = milliseconds // length
            if unit == "day" and number == 1:
                return "24 hours"
            return unit if number == 1 else f"{number} {unit}s"
    raise ValueError(f"{milliseconds} ms is not a whole number of seconds")


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one feature, chosen by the value.

    Attributes:
        some: The usual phrase. `{value}` is replaced by the number (a format may follow), `{money}` by minor
            units written in major ones.
        when_zero: Phrase for 0, where it differs.
        when_one: Phrase for 1, where it differs.
        when_unknown: Phrase for null.
    """

    some: str
    when_zero: str | None = None
    when_one: str | None = None
    when_unknown: str | None = None

    def zero(self, phrase: str) -> Phrases:
        """The same with a phrase for 0."""
        return replace(self, when_zero=phrase)

    def one(self, phrase: str) -> Phrases:
        """The same with a phrase for 1."""
        return replace(self, when_one=phrase)

    def unknown(self, phrase: str) -> Phrases:
        """The same with a phrase for null."""
        return replace(self, when_unknown=phrase)

    def say(self, value: float | None, decimals: int) -> str:
        """The phrase for a value, the value in it; amounts in major units with that many decimals.

        Raises:
            ValueError: The value is null and the feature never is.
        """
        if value is None:
            if self.when_unknown is None:
                raise ValueError(f"no phrase for a null value: {self.some!r}")
            return self.when_unknown
        if value == 0 and self.when_zero is not None:
            return self.when_zero
        if value == 1 and self.when_one is not None:
            return self.when_one
        number = int(value) if value == int(value) else value
        return self.some.format(value=number, money=f"{value / 10**decimals:,.{decimals}f}")
