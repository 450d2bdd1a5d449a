"""What a run of the drift function can be asked for, on whichever host."""

from datetime import UTC, date, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.contracts.event_time import to_milliseconds


class DriftRequest(BaseModel):
    """Data of the event that starts a run; of a schedule's tick it is empty.

    Attributes:
        as_of: End of the window, in event time; a date means its midnight (UTC). None is now.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    as_of: AwareDatetime | date | None = None

    def end_ms(self, now_ms: int) -> int:
        """Return the end of the window in UTC milliseconds."""
        if self.as_of is None:
            return now_ms
        moment = self.as_of
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        return to_milliseconds(moment)
