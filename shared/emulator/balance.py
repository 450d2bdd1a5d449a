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
    connections = [replica.connections for replica in replicas]
    share = max(1, math.ceil(sum(connections) / len(replicas)))
    tolerance = max(1, _TOLERANCE * share)
    # One that has none at all, or far less than its share, needs what the others have a little too much of.
    wanted = min(connections) == 0 or share - min(connections) > tolerance
    for replica in replicas:
        excess = replica.connections - share
        if excess > 0 and (wanted or excess > tolerance):
            replica.send(fair_share=share, shed=excess)
            replica.connections -= excess  # until it reports what is left
        else:
            replica.send(fair_share=share)
