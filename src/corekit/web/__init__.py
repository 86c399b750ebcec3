"""HTTP: a kit inside Litestar, or as an ASGI application inside anything else."""

from corekit.web.app import CorekitPlugin, asgi, create_app
from corekit.web.beside import beside
from corekit.web.dependencies import Ctx, Who
from corekit.web.guards import public, requires
from corekit.web.idempotency import Key, idempotent
from corekit.web.preconditions import Match, conditional, tagged
from corekit.web.settings import WebSettings

__all__ = [
    "CorekitPlugin",
    "Ctx",
    "Key",
    "Match",
    "WebSettings",
    "Who",
    "asgi",
    "beside",
    "conditional",
    "create_app",
    "idempotent",
    "public",
    "requires",
    "tagged",
]
