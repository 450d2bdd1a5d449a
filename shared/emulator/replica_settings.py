"""How a replica serves: handed from the emulator to the replica's process on its command line."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ReplicaSettings:
    """Settings of one replica; file descriptors are inherited, times in seconds.

    Attributes:
        shared_fd: The service's listening socket.
        private_fd: The replica's own listening socket.
        channel_fd: Socket pair to the emulator.
        concurrency: Requests served at once, 0 = no bound.
        timeout: Longest time of a request.
        grace: Longest time of draining.
        niceness: Scheduling weight, 0 to 19.
    """

    concurrency: int
    timeout: float
    grace: float
    niceness: int
    shared_fd: int = -1
    private_fd: int = -1
    channel_fd: int = -1

    def to_json(self) -> str:
        """The replica's command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ReplicaSettings":
        """Read the replica's command line argument."""
        return cls(**json.loads(text))
