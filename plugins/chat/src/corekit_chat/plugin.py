"""The plugin `chat`: conversations and their messages."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from corekit.context import Context, Kit
from corekit.contracts.auth import Auth
from corekit.contracts.messaging import Messaging
from corekit.contracts.realtime import (
    Grant,
    Namespace,
    PublishRequest,
    Realtime,
    SubscribeRequest,
    can_publish,
    can_subscribe,
)
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit_chat.errors import NotMember
from corekit_chat.hints import PURPOSE
from corekit_chat.log import ConversationLog
from corekit_chat.membership import demand_member
from corekit_chat.models import MemberRow
from corekit_chat.rpc import ChatMethods
from corekit_chat.service import ChatService
from corekit_chat.settings import ChatSettings
from corekit_chat.wire import MemberChanged, MessageCreated

CONVERSATION = "conv"  # recoverable from the log
EPHEMERAL = "eph"
MESSAGES = Namespace(
    CONVERSATION,
    prefix="cnv",
    about="Messages of a conversation and changes of its membership, for its members.",
    carries=(MessageCreated, MemberChanged),
)
SIGNALS = Namespace(
    EPHEMERAL,
    prefix="cnv",
    publish=True,
    presence=True,
    join_leave=True,
    about="Signals between the members of a conversation, never stored.",
)


class ChatPlugin(Plugin[ChatSettings]):
    """Conversations and their messages."""

    name = "chat"
    provides = (Messaging,)
    requires = (Auth, Realtime)
    purposes = {PURPOSE: "Reads who is in a conversation, to tell all of them that something happened there."}

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Provide Messaging, register channels and methods, and keep the hints going."""
        service = ChatService(kit, self.settings)
        kit.provide(Messaging, service)
        realtime = kit.get(Realtime)
        realtime.add(MESSAGES, log=ConversationLog())
        realtime.add(SIGNALS)
        realtime.methods(ChatMethods(service))
        hints = asyncio.create_task(service.hints.run(), name="corekit-chat-hints")
        try:
            yield
        finally:
            await service.messages.drain()
            hints.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hints

    def routes(self) -> Sequence[Any]:
        from corekit_chat.routes import ConversationRoutes  # noqa: PLC0415  # a kit without HTTP needs no Litestar

        return [ConversationRoutes]

    @implements(can_subscribe)
    async def members_subscribe(self, request: SubscribeRequest, ctx: Context) -> Grant | None:
        """Let members hear their conversations; who sees all of one may be given what they missed from a cache too."""
        me = await _member(ctx, request.namespace, request.id)
        return None if me is None else Grant(replay=me.since_seq == 0)

    @implements(can_publish)
    async def members_publish(self, request: PublishRequest, ctx: Context) -> bool | None:
        """Let members send each other ephemeral signals."""
        return True if await _member(ctx, request.namespace, request.id) else None


async def _member(ctx: Context, namespace: str, conversation: UUID) -> MemberRow | None:
    if namespace not in {CONVERSATION, EPHEMERAL}:
        return None
    try:
        _, me = await demand_member(ctx, conversation)
    except NotMember:
        return None
    return me
