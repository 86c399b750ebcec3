"""What a route asks for: `ctx: Ctx` is opened for it, `caller: Who` is not; guards read `Key` and `Match`."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from corekit.context import Caller, Context
from corekit.web.idempotency import key_of
from corekit.web.middleware import asker, task_of
from corekit.web.preconditions import match_of

Ctx = NamedDependency[SkipValidation[Context]]
Who = NamedDependency[SkipValidation[Caller]]


async def open_context(request: Request[Any, Any, Any]) -> AsyncGenerator[Context]:
    """Open a context around the handler: readonly for GET unless it says `writes=True`; committed before the answer."""
    caller, _ = asker(request.scope)
    readonly = request.method in {"GET", "HEAD"} and not request.route_handler.opt.get("writes", False)
    async with caller.begin(readonly=readonly, task=task_of(request.scope)) as ctx:
        yield ctx


def who(request: Request[Any, Any, Any]) -> Caller:
    """Tell who asks."""
    return asker(request.scope)[0]


DEPENDENCIES: Mapping[str, Provide] = {
    "ctx": Provide(open_context),
    "caller": Provide(who, sync_to_thread=False),
    "idempotency_key": Provide(key_of),
    "if_match": Provide(match_of),
}
