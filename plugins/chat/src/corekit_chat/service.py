"""Messaging, as chat provides it: one object over conversations, members and messages."""

from corekit.context import Caller, Context, Kit
from corekit.contracts.messaging import (
    Conversation,
    CreateConversation,
    Member,
    Message,
    Messaging,
    PostMessage,
    Role,
    Sent,
)
from corekit.contracts.realtime import Realtime
from corekit.values import Page
from corekit_chat.conversations import Conversations
from corekit_chat.hints import Hints
from corekit_chat.members import Members
from corekit_chat.messages import Messages
from corekit_chat.rates import Rates
from corekit_chat.settings import ChatSettings


class ChatService(Messaging):
    """Conversations and their messages, in chat's own tables."""

    def __init__(self, kit: Kit, settings: ChatSettings) -> None:
        realtime, rates = kit.get(Realtime), Rates(settings, kit.clock)
        self.hints = Hints(kit, realtime, settings)
        self.messages = Messages(kit, settings, rates, self.hints, realtime)
        self._conversations = Conversations(settings, rates, self.hints)
        self._members = Members(settings, rates, self.hints, realtime, self._conversations.members_max)

    async def create(self, ctx: Context, request: CreateConversation) -> tuple[Conversation, bool]:
        return await self._conversations.create(ctx, request)

    async def get(self, ctx: Context, conv: str) -> Conversation:
        return await self._conversations.get(ctx, conv)

    async def conversations(self, ctx: Context, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        return await self._conversations.page(ctx, cursor=cursor, limit=limit)

    async def invite(self, ctx: Context, conv: str, user: str, role: Role | None = None) -> tuple[Member, bool]:
        return await self._members.invite(ctx, conv, user, role)

    async def remove(self, ctx: Context, conv: str, user: str) -> None:
        await self._members.remove(ctx, conv, user)

    async def send(self, caller: Caller, conv: str, request: PostMessage) -> Sent:
        return await self.messages.send(caller, conv, request)

    async def history(
        self,
        ctx: Context,
        conv: str,
        *,
        before: int | None = None,
        after: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Message]:
        return await self.messages.history(ctx, conv, before=before, after=after, cursor=cursor, limit=limit)
