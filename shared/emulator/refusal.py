"""Answers for a service that cannot start: held requests get 503 with the reason instead of waiting for ever."""

import asyncio
import json
import socket

_PATIENCE = 2.0
_RETRY_AFTER = 5


async def refuse_held(listener: socket.socket, reason: str) -> int:
    """Answer every connection that waits on a listening socket with 503.

    Args:
        listener: A non-blocking listening socket.
        reason: Detail of the RFC 9457 problem document.

    Returns:
        Number of connections answered.
    """
    waiting = []
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            break
        except ConnectionAbortedError:
            continue
        waiting.append(_refuse(connection, reason))
    await asyncio.gather(*waiting)
    return len(waiting)


async def _refuse(connection: socket.socket, reason: str) -> None:
    problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": reason}
    body = json.dumps(problem).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nretry-after: {_RETRY_AFTER}\r\nconnection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    with connection:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(_PATIENCE):
                await loop.sock_recv(connection, 65536)
                await loop.sock_sendall(connection, head.encode() + body)
                connection.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(connection, 65536):
                    pass  # what is still coming would turn the answer into a reset
        except (OSError, TimeoutError):
            return  # the client has gone
