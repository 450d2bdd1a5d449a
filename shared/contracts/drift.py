"""A change of the live traffic against the champion's reference: the event on ``fraud.drift``."""

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.fields import Text, Timestamp


class DriftFinding(BaseModel):
    """One drifted feature, score or share, with its effect size."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Text
    effect: float = Field(description="Effect size.")
    lower_bound: float = Field(description="Lower end of the effect's bootstrap interval.")
    threshold: float = Field(description="Effect size from which it counts as drift.")


class Drift(BaseModel):
    """Data of a drift event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    window_start: Timestamp
    window_end: Timestamp
    rows: int = Field(ge=0)
    model_version: Text
    findings: list[DriftFinding] = Field(min_length=1)
    report_uri: Text
