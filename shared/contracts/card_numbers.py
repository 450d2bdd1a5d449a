"""Recognition of raw card numbers, so that they are refused and never stored or logged.

A primary account number (ISO/IEC 7812) is 13 to 19 digits whose last digit is a Luhn check digit. People write it
with single spaces or hyphens between the digits; both forms are found anywhere inside a text.
"""

import re

_CANDIDATE = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
# Random identifiers are not card numbers, though one in a thousand of them holds thirteen digits that pass Luhn.
_OPAQUE = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|(?<![0-9A-Za-z])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{24,}(?![0-9A-Za-z])"
)
_MASK = "[card number]"


def luhn_valid(digits: str) -> bool:
    """Tell whether a string of digits ends in its Luhn check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit)
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _is_card_number(candidate: str) -> bool:
    return luhn_valid("".join(character for character in candidate if character.isdigit()))


def contains_card_number(text: str) -> bool:
    """Tell whether a raw card number stands anywhere in the text, with or without separators.

    UUIDs and hexadecimal digests of 24 and more characters are passed over.
    """
    if len(text) < 13 or _CANDIDATE.search(text) is None:
        return False
    remaining = _OPAQUE.sub("|", text)
    return any(_is_card_number(match.group()) for match in _CANDIDATE.finditer(remaining))


def mask_card_numbers(text: str) -> str:
    """Replace each raw card number in the text by ``[card number]``."""
    return _CANDIDATE.sub(lambda match: _MASK if _is_card_number(match.group()) else match.group(), text)
