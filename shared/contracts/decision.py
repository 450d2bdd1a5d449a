"""The decision: the scorer's answer and the event on ``fraud.decisions``."""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from shared.contracts.fields import Score, Text, Timestamp
from shared.contracts.transaction import Transaction

Verdict = Literal["approve", "review", "decline"]
FeatureValue = int | float | None
_StoredValue = Annotated[int, Field(ge=-(2**63), lt=2**63)] | FiniteFloat | None
FeatureStatus = Literal["new", "seen", "conflict", "too_late", "unread"]
"""How the feature store took the transaction: recorded now, known already, known with other content, too old to
record, or not asked because the store was away."""

_SUFFIX_BITS = 62


class Reason(BaseModel):
    """One feature that raised the score."""

    model_config = ConfigDict(frozen=True)

    feature: str = Field(description="Name of the feature in the catalogue.")
    text: str = Field(description="The feature and its value as a sentence.")
    contribution: float = Field(description="What it added to the score, in log-odds.")


class Decision(BaseModel):
    """The scorer's answer to one transaction."""

    model_config = ConfigDict(frozen=True)

    transaction_id: str
    decision: Verdict
    score: Score = Field(description="Calibrated probability of fraud.")
    reasons: list[Reason] = Field(description="Why it was not approved, the strongest first; empty for approvals.")
    model_version: str = Field(
        description="Version in the model registry; ends in -request-only when the store was away."
    )
    policy_version: str = Field(description="Digest of the thresholds that turned the score into the decision.")
    as_of: Timestamp = Field(description="Event time to which the features hold.")
    degraded: bool = Field(description="True when answered without the card's history.")
    decision_id: str = Field(description="UUIDv8, the same for every retry of the same decision.")
    control: bool = Field(
        default=False,
        description="True when it would have been declined and was let through as part of the control group; "
        "the answer leaves the field out otherwise.",
    )


class DecisionDetails(Decision):
    """The answer with ``?details=true``."""

    features: dict[str, FeatureValue] = Field(description="The feature vector; null is unknown.")
    timings: dict[str, float] = Field(description="Milliseconds spent per stage.")


class DecisionRecord(Decision):
    """Data of a decision event: the receipt from which the decision can be recomputed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    transaction: Transaction
    features: dict[str, _StoredValue]
    feature_status: FeatureStatus
    features_cut: bool = False
    """Whether windows reach beyond what a card with too many transactions holds."""
    catalogue_version: Text
    decided_at: Timestamp
    propensity: float | None = Field(default=None, gt=0, le=1)
    """Chance to be let through, of a transaction that would have been declined; null where nothing was drawn."""


def decision_id(event_time_ms: int, transaction_id: str, model_version: str, policy_version: str) -> str:
    """Return the deterministic id of a decision: a UUIDv8 (RFC 9562, section 5.8).

    The first 48 bits are the transaction's event time in UTC milliseconds, the rest (beside version and variant) a
    BLAKE2b digest of transaction id, model version and policy version.
    """
    text = f"{transaction_id}\x00{model_version}\x00{policy_version}"
    digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())
    value = (event_time_ms & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x8 << 76
    value |= ((digest >> _SUFFIX_BITS) & 0xFFF) << 64
    value |= 0b10 << _SUFFIX_BITS
    value |= digest & ((1 << _SUFFIX_BITS) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def record_from_event(data: bytes | dict[str, Any]) -> DecisionRecord:
    """Read the data of a decision event.

    Raises:
        pydantic.ValidationError: With the location of each wrong field.
    """
    if isinstance(data, bytes):
        return DecisionRecord.model_validate_json(data, extra="ignore")
    return DecisionRecord.model_validate(data, extra="ignore")
