"""Keyed digests in the place of raw identifiers."""

from __future__ import annotations

import hashlib

_DIGEST_BYTES = 16
_SEPARATORS = str.maketrans("", "", " -")


class Tokenizer:
    """Replaces identifiers by tokens: equal for equal identifiers, unguessable without the key.

    The token is keyed BLAKE2b (RFC 7693) of the field's name and the identifier, 128 bits. The key matters: there are
    few enough card numbers that an unkeyed digest is reversed by trying them all. Spaces and hyphens are dropped
    first, so that all ways to write a card number give one token.
    """

    def __init__(self, key: bytes) -> None:
        """Take the key; longer ones than BLAKE2b takes are hashed first."""
        self._key = key if len(key) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(key).digest()

    def token(self, field: str, identifier: str) -> str:
        """Return the token of an identifier of that field."""
        text = f"{field}\x00{identifier.translate(_SEPARATORS)}"
        return "tok_" + hashlib.blake2b(text.encode(), key=self._key, digest_size=_DIGEST_BYTES).hexdigest()
