"""Webhooks over HTTP: the one route of payments that needs no sign-in, since its bodies are signed."""

from typing import Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from corekit.web import Who, public
from corekit_payments.inbox import Inbox


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """How many notices of a request were not known yet."""

    received: int


def webhooks(max_body: int) -> HTTPRouteHandler:
    """Make the route; a longer body than `max_body` bytes is refused before it is read to its end (413)."""

    @post(
        "/payments/v1/webhooks/{instance:str}",
        operation_id="payment.webhook",
        guards=[public("a secret of the instance has signed the body")],
        tags=["payments"],
        status_code=200,
        request_max_body_size=max_body,
        opt={"bearer": "own"},
    )
    async def take(caller: Who, request: Request[Any, Any, Any], instance: FromPath[str]) -> Receipt:
        """Take what a provider tells; it is kept at once, and worked on afterwards."""
        raw = await request.body()
        return Receipt(received=await caller.kit.get(Inbox).take(caller, instance, dict(request.headers.items()), raw))

    return take
