"""A real cluster of Valkey processes on loopback, with or without replicas."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from redis import Redis

from tests.support.features.valkey import free_port, valkey_process

SLOTS = 16384


@dataclass
class Node:
    """One process of a cluster."""

    port: int
    bus_port: int
    process: subprocess.Popen[bytes]
    client: Redis

    def call(self, *command: object) -> object:
        return self.client.execute_command(*command)

    @property
    def identity(self) -> str:
        return bytes(self.call("CLUSTER MYID")).decode()  # type: ignore[call-overload, no-any-return]

    def replication(self) -> dict[str, object]:
        return dict(self.client.info("replication"))


@dataclass
class Cluster:
    """Primaries that share the slots, each with at most one replica."""

    primaries: list[Node]
    replicas: list[Node]

    @property
    def port(self) -> int:
        """A port to find the cluster by."""
        return self.primaries[0].port

    def settle(self) -> None:
        """Wait until each replica has acknowledged all that its primary has written."""
        for primary in self.primaries:
            written = primary.replication()["master_repl_offset"]
            _until(lambda: primary.replication()["slave0"]["offset"] >= written)  # type: ignore[index] # noqa: B023 - called in this turn

    def kill(self, primary: Node) -> None:
        """End a primary with -9."""
        primary.process.kill()
        primary.process.wait(10)


@contextmanager
def valkey_cluster(primaries: int = 3, *, replicated: bool = False) -> Iterator[Cluster]:
    """A running cluster."""
    with ExitStack() as stack:
        nodes = [_node(stack) for _ in range(primaries * (2 if replicated else 1))]
        cluster = Cluster(nodes[:primaries], nodes[primaries:])
        edges = [SLOTS * k // primaries for k in range(primaries + 1)]
        for node, low, high in zip(cluster.primaries, edges, edges[1:], strict=False):
            node.call("CLUSTER ADDSLOTS", *range(low, high))
        for node in nodes[1:]:
            node.call("CLUSTER MEET", "127.0.0.1", nodes[0].port, nodes[0].bus_port)
        _until(lambda: all(_knows_all(node, len(nodes)) for node in nodes))
        for primary, replica in zip(cluster.primaries, cluster.replicas, strict=False):
            replica.call("CLUSTER REPLICATE", primary.identity)
        _until(lambda: all(replica.replication().get("master_link_status") == "up" for replica in cluster.replicas))
        yield cluster


def _node(stack: ExitStack) -> Node:
    bus_port = free_port()
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(bus_port))
    port, process = stack.enter_context(valkey_process(*options))
    return Node(port, bus_port, process, stack.enter_context(Redis(port=port)))


def _knows_all(node: Node, count: int) -> bool:
    state = dict(node.call("CLUSTER INFO"))  # type: ignore[call-overload]
    return state["cluster_known_nodes"] == str(count) and state["cluster_state"] == "ok"


def _until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("the cluster did not form")
        time.sleep(0.05)
