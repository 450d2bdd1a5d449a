"""What a run of the promote function can be asked for, on whichever host."""

from datetime import UTC, date, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.contracts.event_time import to_milliseconds


class PromoteRequest(BaseModel):
    """Data of the event that starts a run; of a schedule's tick it is empty.

    Attributes:
        action: Weigh the challenger, or make the previous champion the champion again.
        as_of: What became known later is not weighed; a date means its midnight (UTC). None is now.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    action: Literal["weigh", "rollback"] = "weigh"
    as_of: AwareDatetime | date | None = None

    def as_of_ms(self, now_ms: int) -> int:
        """Return the moment in UTC milliseconds."""
        if self.as_of is None:
            return now_ms
        moment = self.as_of
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        return to_milliseconds(moment)
