"""The challenger's opinion beside the champion's: the event on ``fraud.shadows``."""

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.decision import Verdict
from shared.contracts.fields import Score, Text, Timestamp


class Opinion(BaseModel):
    """What one model said of a transaction."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_version: Text
    policy_version: Text
    decision: Verdict
    score: Score


class Shadow(BaseModel):
    """Data of a shadow event: champion and challenger on the same feature vector."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    decision_id: Text
    transaction_id: Text
    card_id: Text
    champion: Opinion
    challenger: Opinion
    agree: bool = Field(description="Both came to the same decision.")
    as_of: Timestamp
    scored_at: Timestamp
