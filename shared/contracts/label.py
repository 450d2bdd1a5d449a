"""The truth about a transaction when it becomes known: the event on ``fraud.labels``."""

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.event_time import to_milliseconds
from shared.contracts.fields import Text, Timestamp


class Label(BaseModel):
    """A chargeback or an analyst's finding.

    A later label of the same transaction replaces an earlier one, by label time; of several at one label time fraud
    wins.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    transaction_id: Text
    card_id: Text
    merchant_id: Text
    event_time: Timestamp = Field(description="Event time of the labelled transaction.")
    is_fraud: bool
    label_time: Timestamp = Field(description="When the label became known.")
    source: Literal["chargeback", "analyst"]
    pattern: Text | None = Field(default=None, description="Name of the fraud pattern, where it is known.")

    @cached_property
    def event_time_ms(self) -> int:
        """Event time of the transaction in UTC milliseconds."""
        return to_milliseconds(self.event_time)

    @cached_property
    def label_time_ms(self) -> int:
        """Label time in UTC milliseconds."""
        return to_milliseconds(self.label_time)
