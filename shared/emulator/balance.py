"""Spreads the keep-alive connections of a service over its replicas.

Behind Knative's ingress every request may go to another replica. Here a client's connection belongs to the replica
that accepted it, so a replica that has more than its share gives connections up: they end with an ordinary answer
(`Connection: close`), and the client's next one is accepted by a replica that has less.
"""

import math
import sys
from collections.abc import Sequence

from shared.emulator.replica_process import ReplicaProcess

_TOLERANCE = 0.25


def balance(replicas: Sequence[ReplicaProcess]) -> None:
    """Tell each ready replica its fair share, and those far above it what to give up.

    Args:
        replicas: The ready replicas of one service, with the connections they reported last.
    """
    if len(replicas) < 2:
        for replica in replicas:
            replica.send(fair_share=sys.maxsize)
        return
    share = max(1, math.ceil(sum(replica.connections for replica in replicas) / len(replicas)))
    for replica in replicas:
        excess = replica.connections - share
        if excess > max(1, _TOLERANCE * share) or (excess == 1 and _has_idle_neighbour(replicas, replica)):
            replica.send(fair_share=share, shed=excess)
            replica.connections -= excess  # until it reports what is left
        else:
            replica.send(fair_share=share)


def _has_idle_neighbour(replicas: Sequence[ReplicaProcess], replica: ReplicaProcess) -> bool:
    return any(other.connections == 0 for other in replicas if other is not replica)
