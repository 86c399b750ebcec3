"""Members who come and go: each change takes a place in the log and is told there."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import case, select

from corekit.context import Context
from corekit.contracts.messaging import Member, MemberJoined, MemberLeft, Role
from corekit.contracts.realtime import Realtime
from corekit.errors import Conflict, Forbidden
from corekit.events import emit
from corekit.values import parse_id
from corekit_chat.conversations import new_member
from corekit_chat.hints import Hints
from corekit_chat.membership import demand_locked, demand_users
from corekit_chat.models import ConversationRow, EventRow, MemberRow
from corekit_chat.rates import Rates
from corekit_chat.roles import INVITES, KICKS, ORDER, rank
from corekit_chat.settings import ChatSettings
from corekit_chat.wire import conv_channel, eph_channel, event_publication, member_of

UNSUBSCRIBED = 2000  # for good


class Members:
    """Invites and removes; the conversation is locked meanwhile, so places in the log are taken one by one."""

    def __init__(
        self,
        settings: ChatSettings,
        rates: Rates,
        hints: Hints,
        realtime: Realtime,
        members_max: Callable[[Any], int],
    ) -> None:
        self._settings = settings
        self._rates = rates
        self._hints = hints
        self._realtime = realtime
        self._members_max = members_max

    async def invite(self, ctx: Context, conv: str, user: str, role: Role | None = None) -> tuple[Member, bool]:
        """Add a person; the flag is False where they are present already."""
        ctx.demand()
        target = parse_id("usr", user, pointer="/user")
        conversation, me = await demand_locked(ctx, parse_id("cnv", conv, pointer="/conv"))
        _demand_group(conversation)
        role = role or "member"
        if rank(me.role) < rank(INVITES):
            raise Forbidden(f"inviting needs the role {INVITES} or more; yours is {me.role}")
        if rank(role) > rank(me.role):
            raise Forbidden(f"the role can be at most your own, {me.role}")
        member = await ctx.session.get(MemberRow, (conversation.id, target))
        if member is not None and member.left_at is None:
            return member_of(member), False
        await demand_users(ctx, {target: "/user"})
        await self._rates.charge("invite", ctx.actor.id)
        if conversation.member_count >= (most := self._members_max(conversation.kind)):
            raise Conflict(f"the conversation is full: {most} members", max_members=most)
        member = self._enter(ctx, conversation, member, target, role)
        await self._record(ctx, conversation, "member.joined", target, role)
        await emit(ctx, MemberJoined(conversation=conversation.id, user=target))
        return member_of(member), True

    async def remove(self, ctx: Context, conv: str, user: str) -> None:
        """Remove a person, or leave; removing somebody who is not there changes nothing."""
        ctx.demand()
        target = parse_id("usr", user, pointer="/user")
        conversation, me = await demand_locked(ctx, parse_id("cnv", conv, pointer="/conv"))
        _demand_group(conversation)
        if target == me.usr:
            await self._leave(ctx, conversation, me)
            return
        if rank(me.role) < rank(KICKS):
            raise Forbidden(f"removing others needs the role {KICKS} or more; yours is {me.role}")
        member = await ctx.session.get(MemberRow, (conversation.id, target))
        if member is None or member.left_at is not None:
            return
        if rank(member.role) >= rank(me.role):
            raise Forbidden(f"a {me.role} removes lower roles only; theirs is {member.role}")
        await self._leave(ctx, conversation, member)

    def _enter(
        self, ctx: Context, conversation: ConversationRow, member: MemberRow | None, user: UUID, role: Role
    ) -> MemberRow:
        """Add the member row, or open the one of somebody who had left."""
        from_here = conversation.last_seq if self._settings.history_for_new_members == "from_join" else 0
        if member is None:
            member = new_member(ctx, conversation.id, user, role, from_here)
            ctx.session.add(member)
        else:
            member.left_at = member.left_seq = None
            member.role, member.joined_at = role, ctx.now()
            member.since_seq = max(member.since_seq, from_here)
        conversation.member_count += 1
        return member

    async def _leave(self, ctx: Context, conversation: ConversationRow, member: MemberRow) -> None:
        """Close the member row; the last owner hands over first."""
        if member.role == "owner":
            await self._hand_over(ctx, conversation, member)
        conversation.member_count -= 1
        await self._record(ctx, conversation, "member.left", member.usr, None)  # while they are still present
        member.left_at, member.left_seq = ctx.now(), conversation.last_seq
        await emit(ctx, MemberLeft(conversation=conversation.id, user=member.usr))

        async def cut() -> None:
            for channel in (conv_channel(conversation.id), eph_channel(conversation.id)):
                await self._realtime.unsubscribe(member.usr, channel, UNSUBSCRIBED)

        ctx.on_commit(cut)

    async def _hand_over(self, ctx: Context, conversation: ConversationRow, owner: MemberRow) -> None:
        """Make an heir where no other owner is left: the highest role, the longest there."""
        heirs = (
            select(MemberRow)
            .where(MemberRow.conversation == conversation.id, MemberRow.left_at.is_(None), MemberRow.usr != owner.usr)
            .order_by(case({role: rank(role) for role in ORDER}, value=MemberRow.role).desc())
            .order_by(MemberRow.joined_at, MemberRow.usr)
            .limit(1)
        )
        heir = await ctx.session.scalar(heirs)
        if heir is not None and heir.role != "owner":
            heir.role = "owner"
            await self._record(ctx, conversation, "member.role", heir.usr, "owner")

    async def _record(
        self, ctx: Context, conversation: ConversationRow, kind: str, user: UUID, role: Role | None
    ) -> None:
        """Take the next place in the log, write the entry there, and tell it after the commit."""
        conversation.last_seq += 1
        conversation.active_at = ctx.now()
        entry = EventRow(
            conversation=conversation.id,
            seq=conversation.last_seq,
            tenant=ctx.tenant,
            kind=kind,
            actor=ctx.actor.id,
            data={"user": str(user), "role": role},
            created_at=ctx.now(),
        )
        ctx.session.add(entry)
        await ctx.session.flush()
        publication = event_publication(entry)
        channel = conv_channel(conversation.id)
        await self._realtime.publish(channel, publication.data, offset=publication.offset, ctx=ctx)
        self._hints.note_after(ctx, conversation.id)


def _demand_group(conversation: ConversationRow) -> None:
    """Refuse to change who is in a direct conversation.

    Raises:
        Conflict: always for a direct one.

    """
    if conversation.kind == "direct":
        raise Conflict("a direct conversation has exactly its two members; nobody joins or leaves it")
