"""Conversations: made once, found again, listed by their last activity."""

import secrets
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from corekit.context import Context
from corekit.contracts.messaging import Conversation, ConversationKind, CreateConversation, Role
from corekit.data.pages import newest
from corekit.errors import Invalid
from corekit.values import Page, parse_id, uuid7
from corekit_chat.body import clean_text
from corekit_chat.hints import Hints
from corekit_chat.membership import demand_member, demand_users, present
from corekit_chat.models import ConversationRow, MemberRow
from corekit_chat.rates import Rates
from corekit_chat.roles import INVITES, poster
from corekit_chat.settings import ChatSettings
from corekit_chat.wire import conversation_of

LIST_MAX = 200


class Conversations:
    """Makes and finds conversations; their first members are part of the making and take no place in the log."""

    def __init__(self, settings: ChatSettings, rates: Rates, hints: Hints) -> None:
        self._settings = settings
        self._rates = rates
        self._hints = hints

    async def create(self, ctx: Context, request: CreateConversation) -> tuple[Conversation, bool]:
        """Create a conversation; the flag is False where the direct one existed."""
        ctx.demand()
        _check(request)
        if request.with_ is not None:
            return await self._direct(ctx, parse_id("usr", request.with_, pointer="/with"))
        members = {
            parse_id("usr", text, pointer=f"/members/{index}"): f"/members/{index}"
            for index, text in enumerate(request.members)
        }
        members.pop(ctx.actor.id, None)
        await demand_users(ctx, members)
        await self._rates.charge("create", ctx.actor.id)
        values = _new(ctx, request.kind, member_count=len(members) + 1, title=clean_title(request.title))
        row = ConversationRow(**values)
        ctx.session.add(row)
        await ctx.session.flush()
        return self.show(row, await self._join(ctx, row.id, list(members), "member")), True

    async def get(self, ctx: Context, conv: str) -> Conversation:
        """Return a conversation of the actor's."""
        ctx.demand()
        return self.show(*await demand_member(ctx, parse_id("cnv", conv, pointer="/conv")))

    async def page(self, ctx: Context, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        """Return the actor's conversations, the one with the newest entry first."""
        ctx.demand()
        if not 1 <= limit <= LIST_MAX:
            raise Invalid(f"expected 1 to {LIST_MAX}", pointer="/limit")
        row = ConversationRow
        found, more = await newest(ctx.session, present(ctx), row.active_at, row.id, limit=limit, cursor=cursor)
        return Page([self.show(*one) for one in found], more)

    def show(self, row: ConversationRow, me: MemberRow) -> Conversation:
        """Show a conversation to a member, with the settings that are in force."""
        settings: dict[str, Any] = {"who_can_post": poster(row.kind), "max_members": self.members_max(row.kind)}
        if row.kind != "direct":
            settings["who_can_invite"] = INVITES
            settings["history_for_new_members"] = self._settings.history_for_new_members
        return conversation_of(row, me, settings)

    def members_max(self, kind: ConversationKind) -> int:
        """Return how many persons fit into a conversation of this kind."""
        if kind == "direct":
            return 2
        return self._settings.channel_members_max if kind == "channel" else self._settings.group_members_max

    async def _direct(self, ctx: Context, other: UUID) -> tuple[Conversation, bool]:
        if other == ctx.actor.id:
            raise Invalid("name somebody else", pointer="/with")
        key = _direct_key(ctx.tenant, ctx.actor.id, other)
        if (found := await self._by_key(ctx, key)) is not None:
            return self.show(*found), False
        await demand_users(ctx, {other: "/with"})
        await self._rates.charge("create", ctx.actor.id)
        values = _new(ctx, "direct", member_count=2, direct_key=key)
        insert = sqlite_insert if ctx.kit.database.dialect == "sqlite" else postgresql_insert
        statement = insert(ConversationRow).values(**values).on_conflict_do_nothing(index_elements=["direct_key"])
        made = cast("CursorResult[Any]", await ctx.session.execute(statement)).rowcount == 1
        if made:  # otherwise the other side did it at the same moment
            await self._join(ctx, values["id"], [other], "owner")
        found = await self._by_key(ctx, key)
        if found is None:
            raise AssertionError("a direct conversation has both its members from the start")
        return self.show(*found), made

    async def _by_key(self, ctx: Context, key: str) -> tuple[ConversationRow, MemberRow] | None:
        found = (await ctx.session.execute(present(ctx).where(ConversationRow.direct_key == key))).one_or_none()
        return None if found is None else (found[0], found[1])

    async def _join(self, ctx: Context, conversation: UUID, others: list[UUID], role: Role) -> MemberRow:
        """Add the first members: the creator, then all others."""
        me = new_member(ctx, conversation, ctx.actor.id, "owner")
        ctx.session.add(me)
        await ctx.session.flush()
        ctx.session.add_all([new_member(ctx, conversation, user, role) for user in others])
        await ctx.session.flush()
        self._hints.note_after(ctx, conversation)
        return me


def new_member(ctx: Context, conversation: UUID, user: UUID, role: Role, since_seq: int = 0) -> MemberRow:
    """Make a member row."""
    return MemberRow(
        conversation=conversation,
        usr=user,
        tenant=ctx.tenant,
        role=role,
        since_seq=since_seq,
        delivered_seq=0,
        read_seq=0,
        read_no=0,
        joined_at=ctx.now(),
        created_at=ctx.now(),
    )


def clean_title(title: str | None) -> str | None:
    """Return a title as it is stored: one line.

    Raises:
        Invalid: nothing is left of it.

    """
    if title is None:
        return None
    cleaned = " ".join(clean_text(title, pointer="/title").split())
    if not cleaned:
        raise Invalid("a title has at least one visible character", pointer="/title")
    return cleaned


def _check(request: CreateConversation) -> None:
    """Refuse fields that do not belong to the kind."""
    if request.kind == "direct":
        if request.with_ is None:
            raise Invalid("a direct conversation takes `with`, the other person", pointer="/with")
        for field in ("title", "members"):
            if getattr(request, field):
                raise Invalid("a direct conversation takes `with` and nothing else", pointer=f"/{field}")
    elif request.with_ is not None:
        raise Invalid(f"`with` is for direct conversations; a {request.kind} takes `members`", pointer="/with")


def _new(
    ctx: Context, kind: ConversationKind, *, member_count: int, title: str | None = None, direct_key: str | None = None
) -> dict[str, Any]:
    """Fill the columns of a new conversation."""
    return {
        "id": uuid7(),
        "tenant": ctx.tenant,
        "kind": kind,
        "direct_key": direct_key,
        "title": title,
        "epoch": secrets.token_hex(8),
        "last_seq": 0,
        "message_count": 0,
        "member_count": member_count,
        "created_by": ctx.actor.id,
        "created_at": ctx.now(),
        "active_at": ctx.now(),
    }


def _direct_key(tenant: UUID | None, one: UUID, other: UUID) -> str:
    """Name the pair, the same from either side."""
    first, second = sorted((one, other))
    return f"{tenant.hex if tenant else ''}:{first.hex}:{second.hex}"
