"""The listening socket of a service: one for all its replicas, open as long as the emulator runs."""

import socket
import struct
import sys

from shared.backing.ports import PortTaken, holder

_BACKLOG = 4096
_TCP_INFO_UNACKED = struct.Struct("@24xI")  # struct tcp_info, linux/tcp.h: of a listening socket its accept queue


def listen(service: str, port: int) -> socket.socket:
    """Open the listening socket of a service on loopback.

    Args:
        service: Name of the service, for the error.
        port: TCP port.

    Raises:
        PortTaken: another process listens there.
    """
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    except OSError as error:
        raise PortTaken(f"port {port} for service {service} is taken by {holder(port)}") from error
    listener.setblocking(False)
    return listener


def held_connections(listener: socket.socket) -> int:
    """Connections that wait to be accepted; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED.size)
    return int(_TCP_INFO_UNACKED.unpack(info)[0])
