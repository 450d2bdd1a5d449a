"""The control group: a share of the would-be declines that is let through, so that their labels become known.

A declined transaction never gets a chargeback. Without anybody let through, a model is trained and judged on what its
predecessor approved, and no false alarm ever shows.
"""

from __future__ import annotations

import hashlib
from typing import Final

from shared.contracts.transaction import Transaction

_BITS: Final = 64
_PERSON: Final = b"control group"


class ControlGroup:
    """Draws the control group.

    The draw depends on card and transaction id alone: a retry, a redelivery and every replica come to the same, and no
    score, model or threshold has an influence on who is drawn.

    Args:
        share: Chance of a would-be decline to be let through, between 0 and 1; 0 draws nobody.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._below = round(share * (1 << _BITS))

    def has(self, transaction: Transaction) -> bool:
        """Return whether a transaction is let through if it would be declined."""
        text = f"{transaction.card_id}\x00{transaction.transaction_id}".encode()
        digest = hashlib.blake2b(text, digest_size=_BITS // 8, person=_PERSON).digest()
        return int.from_bytes(digest) < self._below
