"""One replica of a service: a function under functions-framework, served by uvicorn on two sockets.

Run by the emulator as `python -m shared.emulator.replica SETTINGS` (JSON of `ReplicaSettings`):

- The service's shared socket is inherited and the same for all replicas: whoever is free accepts, and a replica that
  comes or goes takes no waiting connection with it. Requests there pass the queue-proxy.
- A private socket of the replica's own, its "pod IP": for probes and for scraping this replica's metrics.

A socket pair to the emulator carries JSON lines both ways. Up goes one report per second (concurrency, requests,
connections). Down come `{"accept": bool}`, sent when readiness changes, `{"fair_share": n}`, the connections a replica
should hold at most, and `{"shed": n}`, the number of connections that should move to other replicas. Its end, and
SIGTERM, drain: no new connection is accepted, each open one ends with its next answer or after a quiet period, and
what is left at the end of the grace period is cut.

At the end its metrics go up too, as `{"metrics": text}`.

Only what serving needs is imported here: every import is paid again by each cold start.
"""

import asyncio
import gc
import json
import signal
import socket
import sys
from functools import partial
from time import monotonic
from typing import Any

import uvicorn
import uvloop

from shared.emulator.queue_proxy import QueueProxy, SharedConnection
from shared.emulator.replica_settings import ReplicaSettings
from shared.emulator.weight import take_weight
from shared.hosts import direct
from shared.hosts.http_protocol import server_config

_KEEP_ALIVE_SECONDS = 75
_QUIET_SECONDS = 1.0
_YIELD_SECONDS = 0.002


class Acceptor:
    """Takes connections from the shared socket, one per turn of the event loop, so that free replicas take more."""

    def __init__(self, listener: socket.socket, config: uvicorn.Config, server: uvicorn.Server, proxy: QueueProxy):
        self.connections: set[SharedConnection] = set()
        self.fair_share = sys.maxsize
        self._listener = listener
        self._protocol = partial(
            SharedConnection,
            config=config,
            server_state=server.server_state,
            app_state={},
            open_connections=self.connections,
            proxy=proxy,
        )
        self._loop = asyncio.get_running_loop()
        self._accepting = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def busy(self) -> bool:
        """Whether any connection is open or being opened."""
        return bool(self.connections or self._tasks)

    def accept(self, wanted: bool) -> None:
        """Start or stop taking connections; those that wait stay for the other replicas."""
        if wanted != self._accepting:
            self._accepting = wanted
            if wanted:
                self._loop.add_reader(self._listener, self._readable)
            else:
                self._loop.remove_reader(self._listener)

    def shed(self, count: int) -> None:
        """End `count` connections, those in use first: they come back, to any replica, without delay."""
        staying = [connection for connection in self.connections if connection.ended is None]
        staying.sort(key=lambda connection: connection.idle)
        for connection in staying[:count]:
            connection.end()

    def close_quiet(self) -> None:
        """Close connections that were asked to end and on which nothing came since then for the quiet period."""
        limit = monotonic() - _QUIET_SECONDS
        for connection in list(self.connections):
            if connection.ended is not None and connection.ended < limit and connection.idle:
                connection.transport.close()

    def _readable(self) -> None:
        if len(self.connections) >= self.fair_share:
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_YIELD_SECONDS, self._accept_late)
        else:
            self._accept_one()

    def _accept_late(self) -> None:
        """Take what no other replica has taken meanwhile."""
        if self._accepting:
            self._accept_one()
            self._loop.add_reader(self._listener, self._readable)

    def _accept_one(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return  # another replica was faster, or the client has gone
        connection.setblocking(False)
        task = self._loop.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: socket.socket) -> None:
        await self._loop.connect_accepted_socket(self._protocol, connection)


class Replica:
    """Serves one function until it is asked to drain."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings
        self._draining = asyncio.Event()

    async def run(self) -> None:
        """Load the function, serve, drain. An error of loading is raised: the process ends with its traceback."""
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=self._settings.channel_fd))
        app = direct.load()
        gc.collect()
        gc.freeze()  # what was imported stays: no collection needs to look at it again
        config = server_config(app, timeout_keep_alive=_KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        proxy = QueueProxy(app, concurrency=self._settings.concurrency, timeout=self._settings.timeout)
        acceptor = Acceptor(socket.socket(fileno=self._settings.shared_fd), config, server, proxy)
        private = socket.socket(fileno=self._settings.private_fd)
        await server.startup(sockets=[private])
        loop.add_signal_handler(signal.SIGTERM, self._draining.set)
        ticking = loop.create_task(server.main_loop())
        reporting = loop.create_task(self._report(writer, acceptor, proxy))
        following = loop.create_task(self._follow(reader, acceptor))
        await self._draining.wait()
        following.cancel()
        await self._drain(acceptor, proxy)
        reporting.cancel()
        await _send_last_metrics(writer)
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[private])

    async def _report(self, writer: asyncio.StreamWriter, acceptor: Acceptor, proxy: QueueProxy) -> None:
        while True:
            _tell(writer, proxy.report() | {"connections": len(acceptor.connections)})
            await asyncio.sleep(1.0)
            proxy.sweep()
            acceptor.close_quiet()

    async def _follow(self, reader: asyncio.StreamReader, acceptor: Acceptor) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                acceptor.fair_share = message.get("fair_share", acceptor.fair_share)
                if "accept" in message:
                    acceptor.accept(message["accept"])
                    if not message["accept"]:
                        acceptor.shed(len(acceptor.connections))
                acceptor.shed(message.get("shed", 0))
        except ConnectionError:
            pass  # it went without reading our last reports
        finally:
            self._draining.set()  # the emulator is gone: nobody would ever stop this process

    async def _drain(self, acceptor: Acceptor, proxy: QueueProxy) -> None:
        acceptor.accept(False)
        deadline = monotonic() + self._settings.grace
        while (acceptor.busy or proxy.in_flight) and monotonic() < deadline:
            for connection in acceptor.connections:
                connection.end()
            acceptor.close_quiet()
            await asyncio.sleep(0.05)
        for connection in list(acceptor.connections):
            connection.transport.abort()


def _tell(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Send a message up, unless the emulator is gone."""
    if not writer.transport.is_closing():
        writer.write(json.dumps(message).encode() + b"\n")


async def _send_last_metrics(writer: asyncio.StreamWriter) -> None:
    """Hand the counters over, so that the service's sums do not fall when a replica goes."""
    exposition = sys.modules.get("prometheus_client")
    if exposition is not None:
        _tell(writer, {"metrics": exposition.generate_latest().decode()})
    try:
        await writer.drain()
    except ConnectionError:
        return  # the emulator is gone


def main() -> None:
    """Run the replica that the command line describes."""
    settings = ReplicaSettings.from_json(sys.argv[1])
    take_weight(settings.niceness)
    uvloop.run(Replica(settings).run())


if __name__ == "__main__":
    main()
