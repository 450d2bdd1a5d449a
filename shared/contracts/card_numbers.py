"""Recognition of raw card numbers, so that they are refused and never stored or logged.

A primary account number (ISO/IEC 7812-1) is 13 to 19 digits, the last of them a Luhn check digit. Inside a text it is
looked for as people write it: in one run, or in the groups printed on cards with one separator. One in ten numbers
passes Luhn, and identifiers are full of long numbers (times in milliseconds, counters), so inside a text the number
must begin as payment cards do: 2221-2720, 3 to 6, 81 or 9792. A field that is to hold a token and nothing else is
held to Luhn and length alone (`is_card_number`).
"""

import re

_CANDIDATE = re.compile(
    r"(?<!\d)(?:"
    r"\d{13,19}"
    r"|\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?"
    r"|\d{4}([ -])\d{6}\2\d{4,5}"
    r")(?!\d)"
)
_ISSUED = re.compile(r"2[2-7]|[3-6]|81|9792")
# Random identifiers are not card numbers, though one in a thousand of them holds digits that look like one.
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


def is_card_number(text: str) -> bool:
    """Tell whether the whole text is a raw card number, by length and Luhn; spaces and hyphens do not count."""
    if not text.lstrip(" -")[:1].isdecimal():  # most tokens begin with a letter
        return False
    digits = text.replace(" ", "").replace("-", "")
    return 13 <= len(digits) <= 19 and digits.isdecimal() and luhn_valid(digits)


def contains_card_number(text: str) -> bool:
    """Tell whether a raw card number stands anywhere in the text.

    UUIDs and hexadecimal digests of 24 and more characters are passed over.
    """
    if len(text) < 13 or _CANDIDATE.search(text) is None:
        return False
    return any(_issued(match) for match in _CANDIDATE.finditer(_OPAQUE.sub("|", text)))


def mask_card_numbers(text: str) -> str:
    """Replace each raw card number in the text by ``[card number]``; UUIDs and digests stay as they are."""
    if len(text) < 13 or _CANDIDATE.search(text) is None:
        return text
    masked: list[str] = []
    end = 0
    for opaque in _OPAQUE.finditer(text):
        masked += (_mask(text[end : opaque.start()]), opaque.group())
        end = opaque.end()
    return "".join((*masked, _mask(text[end:])))


def _mask(text: str) -> str:
    return _CANDIDATE.sub(lambda match: _MASK if _issued(match) else match.group(), text)


def _issued(match: re.Match[str]) -> bool:
    return _ISSUED.match(match.group()) is not None and is_card_number(match.group())
