"""Chat's realtime methods: the twins of its routes, each calling the same verb."""

import msgspec

from corekit.context import Caller, Context
from corekit.contracts.messaging import (
    Conversation,
    CreateConversation,
    Member,
    Message,
    Messaging,
    PostMessage,
    Role,
    Sent,
    Seq,
    WireId,
)
from corekit.contracts.realtime import method
from corekit.values import Page


class Conv(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, by its id."""

    conv: WireId


class ListConversations(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the caller's conversations."""

    cursor: str | None = None
    limit: int = 50


class Invite(Conv, frozen=True, kw_only=True):
    """A person to add; `role` is `member` unless said otherwise."""

    user: WireId
    role: Role | None = None


class Kick(Conv, frozen=True, kw_only=True):
    """A person to remove."""

    user: WireId


class History(Conv, frozen=True, kw_only=True):
    """A page of messages: newest first, or oldest first with `after`; `cursor` is what `next` said."""

    before: Seq | None = None
    after: Seq | None = None
    cursor: str | None = None
    limit: int = 50


class SendMessage(PostMessage, frozen=True, kw_only=True):
    """What the HTTP twin takes, and the conversation."""

    conv: WireId


class Done(msgspec.Struct, frozen=True):
    """Nothing to say: it is done."""


class ChatMethods:
    """`conv.…` and `message.…`."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    @method("conv.create")
    async def create(self, ctx: Context, request: CreateConversation) -> Conversation:
        """Create a conversation, or find the direct one."""
        conversation, _ = await self._messaging.create(ctx, request)
        return conversation

    @method("conv.list", readonly=True)
    async def list(self, ctx: Context, request: ListConversations) -> Page[Conversation]:
        """List the caller's conversations, the latest first."""
        return await self._messaging.conversations(ctx, cursor=request.cursor, limit=request.limit)

    @method("conv.get", readonly=True)
    async def get(self, ctx: Context, request: Conv) -> Conversation:
        """Return one of the caller's conversations."""
        return await self._messaging.get(ctx, request.conv)

    @method("conv.invite")
    async def invite(self, ctx: Context, request: Invite) -> Member:
        """Add a person."""
        member, _ = await self._messaging.invite(ctx, request.conv, request.user, request.role)
        return member

    @method("conv.kick")
    async def kick(self, ctx: Context, request: Kick) -> Done:
        """Remove a person."""
        await self._messaging.remove(ctx, request.conv, request.user)
        return Done()

    @method("conv.leave")
    async def leave(self, ctx: Context, request: Conv) -> Done:
        """Leave."""
        await self._messaging.remove(ctx, request.conv, str(ctx.actor.id))
        return Done()

    @method("message.send")
    async def send(self, caller: Caller, request: SendMessage) -> Sent:
        """Store a message and tell the conversation; answers after the commit."""
        return await self._messaging.send(caller, request.conv, request)

    @method("conv.history", readonly=True)
    async def history(self, ctx: Context, request: History) -> Page[Message]:
        """Read messages."""
        return await self._messaging.history(
            ctx, request.conv, before=request.before, after=request.after, cursor=request.cursor, limit=request.limit
        )
