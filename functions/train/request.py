"""What a training can be asked for, on whichever host."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class TrainRequest(BaseModel):
    """Data of the event that starts a training; of a schedule's tick it is empty.

    Attributes:
        bootstrap: Train on a freshly simulated history even though there is a champion; the model becomes the
            challenger.
        seed: Seed of the simulated history and of the models.
        as_of: Learn from what was known then; None is everything that is known.
        insist: Refuse when there is nothing to learn from, instead of waiting for the next time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    bootstrap: bool = Field(default=False, strict=True)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    as_of: AwareDatetime | None = None
    insist: bool = Field(default=False, strict=True)


class Registered(BaseModel):
    """A version that a training put into the registry."""

    version: str
    alias: str
    run_id: str
    average_precision: float


class TrainResult(BaseModel):
    """What came of a training.

    Attributes:
        message: For people.
        registered: New versions; none when there was nothing to do.
    """

    message: str
    registered: tuple[Registered, ...] = ()
