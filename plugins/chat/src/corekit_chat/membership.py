"""Who is in a conversation: every verb begins here, and unknown and invisible conversations answer alike."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select

from corekit.context import Context
from corekit.contracts.auth import Auth
from corekit.errors import Invalid
from corekit_chat.errors import NotMember
from corekit_chat.models import ConversationRow, MemberRow


def present(ctx: Context) -> Select[ConversationRow, MemberRow]:
    """Select the conversations that the actor is in, with the actor's own member row."""
    return (
        select(ConversationRow, MemberRow)
        .join(MemberRow, MemberRow.conversation == ConversationRow.id)
        .where(same_tenant(ctx), MemberRow.usr == ctx.actor.id, MemberRow.left_at.is_(None))
    )


def same_tenant(ctx: Context) -> ColumnElement[bool]:
    """Restrict conversations to the actor's tenant."""
    return ConversationRow.tenant.is_(None) if ctx.tenant is None else ConversationRow.tenant == ctx.tenant


async def demand_member(ctx: Context, conversation: UUID) -> tuple[ConversationRow, MemberRow]:
    """Return a conversation and the actor's member row in it.

    Raises:
        NotMember: no such conversation, or the actor is not in it.

    """
    found = (await ctx.session.execute(present(ctx).where(ConversationRow.id == conversation))).one_or_none()
    if found is None:
        raise NotMember
    return found[0], found[1]


async def demand_locked(ctx: Context, conversation: UUID) -> tuple[ConversationRow, MemberRow]:
    """Return them as `demand_member` does, the conversation locked: whoever takes a seq waits for this commit.

    The member row is read again under the lock, since the actor may have been removed while this waited for it.
    """
    statement = present(ctx).where(ConversationRow.id == conversation)
    found = (await ctx.session.execute(_locked(statement))).one_or_none()
    if found is None:
        raise NotMember
    await ctx.session.refresh(found[1])
    if found[1].left_at is not None:
        raise NotMember
    return found[0], found[1]


async def demand_users(ctx: Context, users: Mapping[UUID, str]) -> None:
    """Refuse persons who have no account; `users` maps ids to the fields that named them.

    Raises:
        Invalid: naming the first such field.

    """
    known = await ctx.get(Auth).users(ctx, users)
    for user, pointer in users.items():
        if user not in known:
            raise Invalid("no such user", pointer=pointer)


def _locked(
    statement: Select[ConversationRow, MemberRow],
) -> Select[ConversationRow, MemberRow]:
    return statement.with_for_update(of=ConversationRow, key_share=True).execution_options(populate_existing=True)
