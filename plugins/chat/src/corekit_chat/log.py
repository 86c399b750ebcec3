"""The log behind `conv:`: messages and events in one sequence, encoded exactly as they were published."""

from uuid import UUID

from sqlalchemy import ColumnElement, select

from corekit.context import Context
from corekit.contracts.realtime import Publication
from corekit_chat.errors import NotMember
from corekit_chat.membership import demand_member
from corekit_chat.models import ConversationRow, EventRow, MessageRow
from corekit_chat.wire import event_publication, message_of, message_publication


class ConversationLog:
    """Positions and entries of conversations; members read from where their window begins, the gateway reads all."""

    async def position(self, ctx: Context, channel: UUID) -> tuple[str, int]:
        """Return the conversation's (epoch, last seq)."""
        found = (await self.positions(ctx, [channel])).get(channel)
        if found is None:
            raise NotMember
        return found

    async def positions(self, ctx: Context, channels: list[UUID]) -> dict[UUID, tuple[str, int]]:
        """Return the positions of many conversations at once."""
        columns = select(ConversationRow.id, ConversationRow.epoch, ConversationRow.last_seq)
        rows = await ctx.session.execute(columns.where(ConversationRow.id.in_(channels)))
        return {row.id: (row.epoch, row.last_seq) for row in rows}

    async def since(self, ctx: Context, channel: UUID, offset: int, limit: int) -> list[Publication]:
        """Return the entries above `offset`, in order, at most `limit`.

        Places are gapless, so the range is known beforehand; what commits between the two statements lies above it.
        """
        if ctx.actor.kind != "system":
            _, me = await demand_member(ctx, channel)
            offset = max(offset, me.since_seq)
        _, last = await self.position(ctx, channel)
        upto = min(last, offset + limit)
        messages = await ctx.session.scalars(
            select(MessageRow).where(_between(MessageRow, channel, offset, upto)).order_by(MessageRow.seq)
        )
        events = await ctx.session.scalars(
            select(EventRow).where(_between(EventRow, channel, offset, upto)).order_by(EventRow.seq)
        )
        found = [message_publication(message_of(row)) for row in messages]
        found += [event_publication(row) for row in events]
        return sorted(found, key=lambda publication: publication.offset)


def _between(table: type[MessageRow | EventRow], channel: UUID, offset: int, upto: int) -> ColumnElement[bool]:
    within: ColumnElement[bool] = (table.conversation == channel) & (table.seq > offset) & (table.seq <= upto)
    return within
