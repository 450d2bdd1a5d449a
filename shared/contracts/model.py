"""A step in a model's life: the event on ``fraud.models``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.fields import Text, Timestamp

Action = Literal["registered", "promoted", "kept", "rejected", "rolled_back"]


class ModelEvent(BaseModel):
    """Data of a model event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Text = Field(description="Name in the model registry.")
    version: Text
    alias: Text | None = Field(default=None, description="Alias that the version holds from now on.")
    action: Action
    reasons: list[str] = Field(default_factory=list, description="Why, one sentence each.")
    run_id: Text | None = Field(default=None, description="MLflow run behind the version.")
    occurred_at: Timestamp
