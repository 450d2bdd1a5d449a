"""How a file's columns become the fields of a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.contracts.transaction import Transaction

FIELDS: tuple[str, ...] = tuple(Transaction.model_fields)
REQUIRED: tuple[str, ...] = tuple(name for name, info in Transaction.model_fields.items() if info.is_required())
TOKENIZABLE = frozenset({"card_id", "merchant_id", "transaction_id"})
_SHORTEST_KEY_BYTES = 16


class TabularError(ValueError):
    """The file, or how it is to be read, is wrong; the message says what and is safe to show."""


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How to read a file of transactions.

    Attributes:
        rename: Column of the file -> field of a transaction.
        constants: Field -> value for all rows; wins over a column of that name.
        tokenize: Identifier fields whose values are replaced by a keyed digest.
        token_key: The key of the digest, at least 16 bytes; needed with `tokenize`.
        timezone: IANA zone of times that come without one.
        rows: Only the first so many rows of the file; None for all.
        label: Column that tells fraud, if any.
        label_time: Column that tells when the label became known, if any.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    tokenize: frozenset[str] = frozenset()
    token_key: bytes | None = field(default=None, repr=False)
    timezone: str = "UTC"
    rows: int | None = None
    label: str | None = None
    label_time: str | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the file.

        Raises:
            TabularError: A field is unknown or filled twice, a zone or key is wrong.
        """
        for name in (*self.rename.values(), *self.constants):
            if name not in FIELDS:
                raise TabularError(f"{name!r} is not a field of a transaction; those are {', '.join(FIELDS)}")
        targets = list(self.rename.values())
        twice = sorted({name for name in targets if targets.count(name) > 1} | set(targets) & set(self.constants))
        if twice:
            raise TabularError(f"filled twice: {', '.join(twice)}")
        unfit = sorted(self.tokenize - TOKENIZABLE)
        if unfit:
            raise TabularError(f"{', '.join(unfit)}: only {', '.join(sorted(TOKENIZABLE))} can be tokenized")
        if self.tokenize and (self.token_key is None or len(self.token_key) < _SHORTEST_KEY_BYTES):
            raise TabularError(f"tokenizing needs a key of at least {_SHORTEST_KEY_BYTES} bytes")
        _ = self.zone

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times that come without one.

        Raises:
            TabularError: It is unknown.
        """
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise TabularError(f"unknown time zone {self.timezone!r}; use a name such as Europe/Paris") from None

    def columns(self, available: Sequence[str]) -> dict[str, str]:
        """Return field -> column of the file, for the fields that the file has.

        Raises:
            TabularError: A column that is asked for is absent or ambiguous, or a required field has no source.
        """
        found: dict[str, str] = {name: name for name in available if name in FIELDS and name not in self.rename}
        wanted = [*self.rename, *(name for name in (self.label, self.label_time) if name)]
        absent = [name for name in wanted if name not in available]
        if absent:
            raise TabularError(f"the file has no column {', '.join(absent)}; it has {', '.join(available)}")
        found |= {ours: theirs for theirs, ours in self.rename.items()}
        found = {name: column for name, column in found.items() if name not in self.constants}
        ambiguous = sorted({name for name in (*found.values(), *wanted) if list(available).count(name) > 1})
        if ambiguous:
            raise TabularError(f"several columns are called {', '.join(ambiguous)}")
        missing = [name for name in REQUIRED if name not in found and name not in self.constants]
        if missing:
            raise TabularError(
                f"nothing gives {', '.join(missing)}: name a column with --map THEIRS={missing[0]} or a value with "
                f"--set {missing[0]}=VALUE; the file has {', '.join(available)}"
            )
        return found

    def ignored(self, available: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of the file that nothing uses."""
        used = {*self.columns(available).values(), self.label, self.label_time}
        return tuple(name for name in available if name not in used)


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """Read `NAME=VALUE` texts of a repeatable option.

    Raises:
        TabularError: One has no name or no `=`, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise TabularError(f"{option} takes NAME=VALUE, not {text!r}")
        if name in found:
            raise TabularError(f"{option} names {name} twice")
        found[name] = value
    return found
