"""Chat over HTTP: the twins of its realtime methods; a route's `operation_id` is its method's name."""

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody

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
from corekit.values import Page
from corekit.web import Ctx, Who, requires


class InviteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`role` is `member` unless said otherwise, and at most the inviter's own."""

    role: Role | None = None


class ConversationRoutes(Controller):
    """Conversations, their members and their messages."""

    path = "/chat/v1/conversations"
    tags = ["chat"]
    guards = [requires()]

    @post("/", operation_id="conv.create", responses={200: ResponseSpec(Conversation, description="It existed")})
    async def create(self, ctx: Ctx, data: JSONBody[CreateConversation]) -> Response[Conversation]:
        """Create a conversation; a direct one that exists is returned with 200."""
        conversation, new = await ctx.get(Messaging).create(ctx, data)
        return Response(conversation, status_code=201 if new else 200)

    @get("/", operation_id="conv.list")
    async def list(
        self, ctx: Ctx, limit: FromQuery[int] = 50, cursor: FromQuery[str | None] = None
    ) -> Page[Conversation]:
        """List your conversations, the latest first."""
        return await ctx.get(Messaging).conversations(ctx, cursor=cursor, limit=limit)

    @get("/{conv:str}", operation_id="conv.get")
    async def conversation(self, ctx: Ctx, conv: FromPath[str]) -> Conversation:
        """Return one of your conversations."""
        return await ctx.get(Messaging).get(ctx, conv)

    @put(
        "/{conv:str}/members/{user:str}",
        operation_id="conv.invite",
        status_code=201,
        responses={200: ResponseSpec(Member, description="Present already")},
    )
    async def invite(
        self, ctx: Ctx, conv: FromPath[str], user: FromPath[str], data: JSONBody[InviteBody | None] = None
    ) -> Response[Member]:
        """Add a person; one who is present already is returned with 200 and keeps their role."""
        role = data.role if data is not None else None
        member, new = await ctx.get(Messaging).invite(ctx, conv, user, role)
        return Response(member, status_code=201 if new else 200)

    @delete("/{conv:str}/members/{user:str}", operation_id="conv.kick")
    async def kick(self, ctx: Ctx, conv: FromPath[str], user: FromPath[str]) -> None:
        """Remove a person."""
        await ctx.get(Messaging).remove(ctx, conv, user)

    @delete("/{conv:str}/members/me", operation_id="conv.leave")
    async def leave(self, ctx: Ctx, conv: FromPath[str]) -> None:
        """Leave."""
        await ctx.get(Messaging).remove(ctx, conv, str(ctx.actor.id))

    @post(
        "/{conv:str}/messages",
        operation_id="message.send",
        responses={200: ResponseSpec(Sent, description="Stored before under this client_id")},
    )
    async def send(self, caller: Who, conv: FromPath[str], data: JSONBody[PostMessage]) -> Response[Sent]:
        """Send a message; repeat it with the same `client_id` until it is answered."""
        sent = await caller.kit.get(Messaging).send(caller, conv, data)
        return Response(sent, status_code=200 if sent.dup else 201)

    @get("/{conv:str}/messages", operation_id="conv.history")
    async def history(
        self, ctx: Ctx, conv: FromPath[str], limit: FromQuery[int] = 50, cursor: FromQuery[str | None] = None
    ) -> Page[Message]:
        """Read messages, the newest first."""
        return await ctx.get(Messaging).history(ctx, conv, cursor=cursor, limit=limit)
