"""The shortest way from an HTTP server to a function under functions-framework.

The framework answers each request through Starlette's middleware, routing, a request object and a response object. A
function whose answer is an ASGI application anyway may say so (`serves`); a host then loads it as the framework does,
from the same FUNCTION_TARGET and FUNCTION_SOURCE, and hands requests to that application at once. Under the plain
``functions-framework`` command nothing changes.

A host that takes an application by its address, such as uvicorn, finds it at ``shared.hosts.direct:app``.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

import functions_framework.aio

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "asgi_application"


def serves(application: Application) -> Callable[[Function], Function]:
    """Decorate a function-framework target whose answer to every request is this ASGI application."""

    def mark(function: Function) -> Function:
        setattr(function, _MARK, application)
        return function

    return mark


def load() -> Application:
    """Load the function that the environment names: the application that it serves, or else the framework's around it.

    With LOG_EXECUTION_ID the framework's layers stay, for they put the execution id into the logs.
    """
    framework: Any = functions_framework.aio.create_asgi_app()  # type: ignore[no-untyped-call]
    marked = [route.endpoint for route in framework.routes if hasattr(route.endpoint, _MARK)]
    application: Application = framework
    if marked and not os.environ.get("LOG_EXECUTION_ID"):
        application = getattr(marked[0], _MARK)
    return application


class _Loaded:
    """Loads the function when the server starts (ASGI's lifespan), or else with the first request.

    The lifespan goes no further: functions are made to live without it, since most of their hosts have none.
    """

    def __init__(self) -> None:
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._application = self._application or load()
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


app = _Loaded()
