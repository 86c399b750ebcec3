"""Guards: every route has `requires(…)` or says with `public(…)` why it needs none."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from corekit.context import demand
from corekit.errors import Unauthenticated
from corekit.web.middleware import asker

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]
PUBLIC = "corekit_public"


def requires(permission: str | None = None, *, aal: int = 1, max_age: float | None = None) -> Guard:
    """Let in who is signed in, holds the permission, and signed in strongly and lately enough (`max_age` seconds)."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        caller, denied = asker(connection.scope)
        if denied is not None:
            raise Unauthenticated(f"the token is {denied.reason}", challenge='Bearer error="invalid_token"')
        demand(caller.kit, caller.actor, permission, aal=aal, max_age=max_age)

    return guard


def public(reason: str) -> Guard:
    """Let everybody in, and say why."""

    async def guard(_connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        return

    setattr(guard, PUBLIC, reason)
    return guard
