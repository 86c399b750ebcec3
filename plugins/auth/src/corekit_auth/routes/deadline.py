"""An end for every request."""

import asyncio

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from corekit_auth.errors import RequestTimeout


class Deadline(ASGIMiddleware):
    """Gives up on a request after some seconds; its open work is rolled back."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on, against the clock."""
        deadline = asyncio.timeout(self._seconds)
        try:
            async with deadline:
                await next_app(scope, receive, send)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise RequestTimeout from None
