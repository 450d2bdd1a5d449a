"""Scripts and queries are kept as files with `@NAME@` where a piece made from the catalogue goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


def render(package: str, name: str, pieces: Mapping[str, str]) -> str:
    """The text of a package's file with its placeholders replaced.

    Raises:
        KeyError: The file has a placeholder that no piece is given for.
    """
    return fill(files(package).joinpath(name).read_text(encoding="utf-8"), pieces)


def fill(text: str, pieces: Mapping[str, str]) -> str:
    """A text with its placeholders replaced.

    Raises:
        KeyError: The text has a placeholder that no piece is given for.
    """
    return _PLACEHOLDER.sub(lambda found: pieces[found[1]], text)
