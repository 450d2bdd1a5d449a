"""The truth about a transaction when it becomes known: the event on ``fraud.labels``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.fields import Text, Timestamp


class Label(BaseModel):
    """A chargeback or an analyst's finding. A later label of the same transaction replaces an earlier one."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    transaction_id: Text
    card_id: Text
    merchant_id: Text
    event_time: Timestamp = Field(description="Event time of the labelled transaction.")
    is_fraud: bool
    label_time: Timestamp = Field(description="When the label became known.")
    source: Literal["chargeback", "analyst"]
    pattern: Text | None = Field(default=None, description="Name of the fraud pattern, where it is known.")
