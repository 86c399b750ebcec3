"""A kit behind a real server on a free port of the loopback address."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from corekit.kit import Corekit
from corekit.web import create_app


@asynccontextmanager
async def serve(app: Any, **options: Any) -> AsyncGenerator[str]:
    """Serve an ASGI application, or a started kit, with uvicorn in this event loop; yields its base URL.

    A kit is served without starting it: the test has done that. `options` go to uvicorn.
    """
    from corekit.web.uvicorn import server_config  # noqa: PLC0415  # needs `websockets`, which other fixtures do not

    if isinstance(app, Corekit):
        app = create_app(app, lifespan=False)
    defaults: dict[str, Any] = {"lifespan": "auto", "timeout_graceful_shutdown": 1}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = uvicorn.Server(server_config(app, **(defaults | options)))
        task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001  # without its signal handlers
        try:
            while not server.started:
                if task.done():
                    await task
                await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await task


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
