"""Hints over the gateway: who pays, and whom it is for, hears that a payment changed, and then reads it."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from corekit.context import Context
from corekit.contracts.payments import PaymentEvent, PaymentStatus
from corekit.contracts.realtime import Realtime
from corekit.events import on, tag_of
from corekit.values import typeid

Listener = Callable[[Any, Context, PaymentEvent], Awaitable[None]]


class PaymentHint(msgspec.Struct, frozen=True, kw_only=True):
    """What is told on `user:usr_…`: no money and no names; `GET /payments/v1/payments/{id}` has the rest."""

    type: Literal["payment"] = "payment"
    id: str
    status: PaymentStatus
    version: int


async def tell(ctx: Context, event: PaymentEvent) -> None:
    """Publish an event as a hint, after the commit; nothing where there is no gateway."""
    realtime = ctx.find(Realtime)
    if realtime is None:
        return
    hint = PaymentHint(id=typeid("pay", event.payment), status=event.status, version=event.version)
    for user in filter(None, (event.payer, event.payee)):
        await realtime.publish(f"user:{typeid('usr', user)}", msgspec.json.encode(hint), ctx=ctx)


class PaymentHints:
    """A part of the plugin: one listener for each kind of event that a payment has, made below."""


def _listener(event: type[PaymentEvent]) -> Listener:
    async def hint(_: object, ctx: Context, event: PaymentEvent) -> None:
        await tell(ctx, event)

    return on(event)(hint)


for _event in PaymentEvent.__subclasses__():
    setattr(PaymentHints, f"hint_{tag_of(_event).partition('.')[2]}", _listener(_event))
