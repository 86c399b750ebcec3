"""What plugins are asked about people, channels and signals: the gateway and Centrifugo's proxy ask alike."""

from typing import Any

import msgspec
from msgspec import UnsetType

from corekit.context import Actor, Caller, Context, Kit
from corekit.contracts.auth import Denied, authenticate
from corekit.contracts.realtime import (
    Grant,
    Hello,
    PublishRequest,
    SubscribeRequest,
    Welcome,
    can_publish,
    can_subscribe,
    connecting,
)
from corekit.hooks import Hooks
from corekit_realtime.channels import Place
from corekit_realtime.codes import BAD_REQUEST, INVALID_TOKEN, PERMISSION_DENIED, TOKEN_EXPIRED, Ending, Refusal
from corekit_realtime.protocol import Data, decoded

NAME_MAX = 64  # characters of what a client calls itself
_TOKEN_MAX = 8192


async def identify(kit: Kit, caller: Caller, token: str) -> Actor:
    """Ask the plugins who a token speaks for.

    Raises:
        Refusal: it has expired; the client fetches a fresh one.
        Ending: it is refused, or nobody knows it.

    """
    if not 0 < len(token) <= _TOKEN_MAX:
        raise Ending(INVALID_TOKEN)
    hooks: Hooks = kit.hooks
    answer: Actor | Denied | None = await hooks.first(authenticate, token, caller)
    if isinstance(answer, Denied) and answer.reason == "expired":
        raise Refusal(TOKEN_EXPIRED)
    if not isinstance(answer, Actor) or answer.kind not in {"user", "service"}:
        raise Ending(INVALID_TOKEN)
    return answer


async def welcome(caller: Caller, hello: Hello) -> Welcome:
    """Ask the plugins what they add to a connection; a Problem of theirs refuses it."""
    async with caller.begin(readonly=True) as ctx:
        answers = await caller.kit.hooks.each(connecting, hello, ctx)
    return Welcome(
        data=_merged([answer.data for answer in answers]),
        channels=tuple(channel for answer in answers for channel in answer.channels),
        conn_info=_merged([answer.conn_info for answer in answers]),
    )


async def grant(ctx: Context, place: Place, data: Any) -> Grant:
    """Ask the plugins for a subscription.

    Raises:
        Refusal: none of them allows it.

    """
    question = SubscribeRequest(place.name, place.namespace.name, place.id, data)
    answer: Grant | None = await ctx.kit.hooks.first(can_subscribe, question, ctx)
    if answer is None:
        raise Refusal(PERMISSION_DENIED)
    return answer


def demand_signals(place: Place) -> None:
    """Refuse a channel to which clients publish nothing.

    Raises:
        Refusal: it is one.

    """
    if not place.namespace.publish or place.log is not None:
        raise Refusal(PERMISSION_DENIED)


async def signal(caller: Caller, place: Place, data: Data) -> bytes:
    """Ask the plugins for a signal; return it as others get it.

    It is encoded again: that must be JSON all through, and only a decoder looks inside strings.

    Raises:
        Refusal: there is nothing to publish, or no plugin allows it.

    """
    if isinstance(data, UnsetType):
        raise Refusal(BAD_REQUEST)
    value = decoded(data)
    question = PublishRequest(place.name, place.namespace.name, place.id, value)
    async with caller.begin(readonly=True) as ctx:
        allowed: bool | None = await caller.kit.hooks.first(can_publish, question, ctx)
    if not allowed:
        raise Refusal(PERMISSION_DENIED)
    return msgspec.json.encode(value)


def _merged(answers: list[Any]) -> Any:
    """Put the plugins' answers together: objects are merged, of anything else the last one counts."""
    given = [answer for answer in answers if answer is not None]
    if given and all(isinstance(answer, dict) for answer in given):
        return {key: value for answer in given for key, value in answer.items()}
    return given[-1] if given else None
