"""A small HTTP server that can stall, refuse, and close connections at will."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn

Scope = dict[str, Any]


@dataclass
class Received:
    path: str
    body: bytes
    at: float


@dataclass
class Behaviour:
    """What the server does; set by the test, read at each request."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    stall_seconds: float = 0.0
    """Blocks the whole server once, as a garbage collection or a slow disk would."""
    stall_at_request: int = 0
    delay_seconds: float = 0.0
    answer: Callable[[str, bytes], tuple[int, bytes]] | None = None
    received: list[Received] = field(default_factory=list)


class Server:
    """An ASGI server in a thread of the test, on a port of its own."""

    def __init__(self, behaviour: Behaviour, app: Any = None) -> None:
        self.behaviour = behaviour
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app or self._app, log_level="critical", lifespan="off", loop="uvloop", interface="asgi3"
        )
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._socket],), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert time.monotonic() < deadline, "the test server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    async def _app(self, scope: Scope, receive: Callable[[], Any], send: Callable[[Scope], Any]) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        behaviour = self.behaviour
        behaviour.received.append(Received(scope["path"], body, time.monotonic()))
        if behaviour.stall_at_request == len(behaviour.received):
            time.sleep(behaviour.stall_seconds)  # noqa: ASYNC251 - the point: nothing else is served meanwhile
        if behaviour.delay_seconds:
            await asyncio.sleep(behaviour.delay_seconds)
        status, answer = (
            (behaviour.status, b"{}") if behaviour.answer is None else behaviour.answer(scope["path"], body)
        )
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers + behaviour.headers})
        await send({"type": "http.response.body", "body": answer})


@contextlib.contextmanager
def serving(behaviour: Behaviour | None = None, app: Any = None) -> Iterator[Server]:
    """A server that behaves so, or serves an ASGI application, in a thread."""
    server = Server(behaviour or Behaviour(), app)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class RudeServer:
    """A TCP server that answers the first requests of a connection and closes it at the next, without a byte."""

    def __init__(self, answers_per_connection: int) -> None:
        self._answers = answers_per_connection
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        self.requests = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self._socket.close()

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            for number in range(self._answers + 1):
                if not connection.recv(65536):
                    return
                self.requests += 1
                if number < self._answers:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
