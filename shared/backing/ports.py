"""TCP ports on loopback: free ones, taken ones, and who holds them."""

from __future__ import annotations

import errno
import socket

import psutil

from shared.backing.settings import LOOPBACK


class PortTaken(RuntimeError):
    """A port that must be listened on is held by another process; the message names holder and setting."""


def free_ports(count: int) -> list[int]:
    """Return `count` distinct TCP ports that nobody listens on, for what no user ever addresses."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now; a connection's TIME_WAIT does not count as taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def holder(port: int) -> str:
    """Describe the process that listens on `port`, e.g. "pid 4711 (redis-server *:6379)"."""
    try:
        listeners = [
            connection
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        ]
    except psutil.AccessDenied:
        listeners = []
    for pid in (listener.pid for listener in listeners if listener.pid is not None):
        try:
            command = " ".join(psutil.Process(pid).cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            command = "command unknown"
        return f"pid {pid} ({command[:200]})"
    return "a process this user may not look at"


def require_free(port: int, *, purpose: str, setting: str) -> None:
    """Refuse a taken port in words that help.

    Args:
        port: The port a server is about to listen on.
        purpose: Who wants it, e.g. "Kafka".
        setting: The environment variable that moves it, e.g. "FRAUD_KAFKA_PORT".

    Raises:
        PortTaken: Somebody listens there.
    """
    if not is_free(port):
        raise PortTaken(
            f"port {port} for {purpose} is taken by {holder(port)}; stop it, or set {setting} to another port"
        )
