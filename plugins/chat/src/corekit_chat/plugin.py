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
from corekit_chat.rpc import ChatMethods
from corekit_chat.service import ChatService
from corekit_chat.settings import ChatSettings

CONVERSATION = "conv"  # recoverable from the log
EPHEMERAL = "eph"  # signals between clients, never stored


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
        realtime.add(Namespace(CONVERSATION, prefix="cnv"), log=ConversationLog())
        realtime.add(Namespace(EPHEMERAL, prefix="cnv", publish=True, presence=True, join_leave=True))
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
        """Let members hear their conversations."""
        return Grant() if await _is_member(ctx, request.namespace, request.id) else None

    @implements(can_publish)
    async def members_publish(self, request: PublishRequest, ctx: Context) -> bool | None:
        """Let members send each other ephemeral signals."""
        return True if await _is_member(ctx, request.namespace, request.id) else None


async def _is_member(ctx: Context, namespace: str, conversation: UUID) -> bool | None:
    if namespace not in {CONVERSATION, EPHEMERAL}:
        return None
    try:
        await demand_member(ctx, conversation)
    except NotMember:
        return None
    return True
