"""Beside an application that knows no lifespan: Django's, or any plain ASGI one."""

from corekit.kit import Corekit
from corekit.web.app import asgi
from corekit.web.types import App, Receive, Scope, Send


def beside(host: App, kit: Corekit, path: str = "/corekit") -> App:
    """Serve the kit below `path` and the host everywhere else; the server's lifespan starts and stops the kit.

    In Django's `asgi.py`: `application = beside(get_asgi_application(), kit)`.
    """
    inner = asgi(kit)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(kit, receive, send)
        elif scope["path"] == path or scope["path"].startswith(f"{path}/"):
            root = scope.get("root_path", "") + path
            await inner({**scope, "root_path": root}, receive, send)
        else:
            await host(scope, receive, send)

    return application


async def _lifespan(kit: Corekit, receive: Receive, send: Send) -> None:
    """Speak the ASGI lifespan protocol for the kit (ASGI 3, lifespan 2.0)."""
    await receive()
    try:
        async with kit:
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
        raise
    await send({"type": "lifespan.shutdown.complete"})
