"""The web server of a function's container: `python -m shared.hosts.serve`, listening on PORT.

A container has no shell that could put PORT into a command line, so the server is started from Python.
"""

import gc
import os
from typing import Final

import uvicorn

from shared.hosts import direct
from shared.hosts.http_protocol import server_config

DEFAULT_PORT: Final = 8080
_KEEP_ALIVE_SECONDS: Final = 120
"""Longer than Knative's queue-proxy keeps an idle connection (90 s): who closes first must not be the server, or a
request that is on its way at that moment fails."""
_GRACE_SECONDS: Final = 30


def config(port: int) -> uvicorn.Config:
    """Return the server's settings: all interfaces, open requests are finished on SIGTERM."""
    return server_config(
        direct.load(),
        host="0.0.0.0",  # noqa: S104 - a container's port is reached from outside it
        port=port,
        loop="uvloop",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def main() -> None:
    """Serve the function that FUNCTION_TARGET and FUNCTION_SOURCE name until SIGTERM."""
    server = uvicorn.Server(config(int(os.environ.get("PORT") or DEFAULT_PORT)))
    gc.collect()
    gc.freeze()  # what was imported stays: no collection needs to look at it again
    server.run()


if __name__ == "__main__":
    main()
