"""Putting a kit on HTTP: into a Litestar application, as one of its own, or mounted below a path."""

from collections.abc import Sequence
from typing import cast

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.config.cors import CORSConfig
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins import InitPlugin
from litestar.router import Router

from corekit.contracts.realtime import Realtime
from corekit.kit import Corekit
from corekit.web.asyncapi import AsyncDescription
from corekit.web.dependencies import DEPENDENCIES
from corekit.web.docs import DocsPage
from corekit.web.health import probes
from corekit.web.idempotency import StoredReplies
from corekit.web.middleware import WhoAsks
from corekit.web.openapi import Description
from corekit.web.problems import HANDLERS
from corekit.web.settings import WebSettings
from corekit.web.types import App

# What the Supabase clients send and read, besides the safe-listed headers, and what goes with keys and versions.
CORS_ALLOW = [
    "Accept",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "X-Client-IP",
    "X-Client-Info",
    "X-JWT-AUD",
    "x-use-cookie",
    "X-Supabase-Api-Version",
    "apikey",
]
CORS_EXPOSE = [
    "ETag",
    "X-Total-Count",
    "Link",
    "X-Supabase-Api-Version",
    "x-sb-error-code",
    "X-Request-Id",
    "Retry-After",
    "Idempotent-Replayed",
]


class CorekitPlugin(InitPlugin):
    """Puts a kit's routes and its life into your application: `Litestar(plugins=[CorekitPlugin(kit)])`.

    Your own handlers may take `ctx: Ctx` and `caller: Who` and use the guards.
    """

    def __init__(self, kit: Corekit, *, lifespan: bool = True) -> None:
        self._kit = kit
        self._lifespan = lifespan

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add middleware, dependencies, problem answers, routes and, unless told otherwise, the lifespan."""
        settings = self._kit.config.table("web", WebSettings)
        app_config.middleware[:0] = [WhoAsks(self._kit, settings.trusted_proxies), StoredReplies()]
        app_config.dependencies.update(DEPENDENCIES)
        app_config.exception_handlers = HANDLERS | dict(app_config.exception_handlers)
        if self._lifespan:
            app_config.lifespan = [self._kit.lifespan, *(app_config.lifespan or [])]
        handlers = [route for plugin in self._kit.plugins for route in plugin.routes()]
        app_config.route_handlers.append(Router("/", route_handlers=handlers, request_max_body_size=settings.body_max))
        return app_config


def create_app(kit: Corekit, *, lifespan: bool = True) -> Litestar:
    """Make the application that `corekit serve` runs: the kit's routes, probes, and the API's description."""
    settings = kit.config.table("web", WebSettings)
    return Litestar(
        route_handlers=probes(kit, kit.health),
        plugins=[CorekitPlugin(kit, lifespan=lifespan)],
        openapi_config=_openapi(kit) if settings.openapi else None,
        cors_config=_cors(settings.cors_origins) if settings.cors_origins else None,
        logging_config=None,
    )


def asgi(kit: Corekit) -> App:
    """Make an application that a host mounts and whose kit the host starts and stops.

    `app.mount("/corekit", asgi(kit))`
    """
    return cast("App", create_app(kit, lifespan=False))  # Litestar's own types are narrower than anybody's servers


def _openapi(kit: Corekit) -> OpenAPIConfig:
    realtime = any(Realtime in plugin.provides for plugin in kit.plugins)
    return OpenAPIConfig(
        title="corekit",
        version="1",
        path="/docs",
        render_plugins=[DocsPage(), Description(), *([AsyncDescription(kit)] if realtime else [])],
        components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"bearer": []}],
        use_handler_docstrings=True,
    )


def _cors(origins: Sequence[str]) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=CORS_ALLOW,
        expose_headers=CORS_EXPOSE,
    )
