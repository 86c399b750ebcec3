"""Messages: sent through the lane, read in pages."""

import asyncio
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import select

from corekit.context import Caller, Context, Kit, demand
from corekit.contracts.messaging import Draft, Message, PostMessage, Sent, before_send
from corekit.contracts.realtime import Realtime
from corekit.data import LaneSpec
from corekit.errors import Forbidden, Invalid, Problem
from corekit.values import Page, decode_cursor, encode_cursor, parse_id, uuid7
from corekit_chat import lane_postgresql, lane_sqlite
from corekit_chat.body import body_hash, clean_body
from corekit_chat.hints import Hints
from corekit_chat.membership import demand_member
from corekit_chat.models import MessageRow
from corekit_chat.outgoing import Outgoing
from corekit_chat.rates import Rates
from corekit_chat.roles import may_send
from corekit_chat.settings import ChatSettings
from corekit_chat.wire import message_of, message_publication

SEND = LaneSpec("chat.send", lane_sqlite.send, lane_postgresql.SEND, key=lambda item: item.conversation)
HISTORY_MAX = 300


class Messages:
    """Stores messages durably, tells their conversation, and reads them back."""

    def __init__(self, kit: Kit, settings: ChatSettings, rates: Rates, hints: Hints, realtime: Realtime) -> None:
        self._lane = kit.lane(SEND)
        self._settings = settings
        self._rates = rates
        self._hints = hints
        self._realtime = realtime
        self._delivering: set[asyncio.Task[Sent]] = set()

    async def send(self, caller: Caller, conv: str, request: PostMessage) -> Sent:
        """Store a message and tell its conversation; answers after the commit."""
        caller.demand_free("message.send")
        demand(caller.kit, caller.actor, None)
        item = _outgoing(caller, conv, request)
        try:
            await self._rates.charge("send", item.sender)
            item = await self._prepare(caller, item)
            await self._rates.charge("conversation", item.conversation)
        except Problem:
            # A repeat gets its first answer, whatever would be refused now.
            if (repeated := await _stored_before(caller, item)) is None:
                raise
            return repeated
        # A sender who hangs up between commit and publication must not keep the message from the others.
        task = asyncio.create_task(self._deliver(item))
        self._delivering.add(task)
        task.add_done_callback(self._delivering.discard)
        return await asyncio.shield(task)

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
        """Return messages newest first (oldest first with `after`); positions are sequence numbers."""
        ctx.demand()
        conversation = parse_id("cnv", conv, pointer="/conv")
        order, position = _start(before, after, cursor)
        if not 1 <= limit <= HISTORY_MAX:
            raise Invalid(f"expected 1 to {HISTORY_MAX}", pointer="/limit")
        await self._rates.charge("history", ctx.actor.id)
        _, me = await demand_member(ctx, conversation)
        statement = select(MessageRow).where(MessageRow.conversation == conversation, MessageRow.seq > me.since_seq)
        if order == "after":
            statement = statement.where(MessageRow.seq > position).order_by(MessageRow.seq)
        else:
            statement = statement.order_by(MessageRow.seq.desc())
            statement = statement if position is None else statement.where(MessageRow.seq < position)
        found: Sequence[MessageRow] = (await ctx.session.scalars(statement.limit(limit + 1))).all()
        following = encode_cursor(order, found[limit - 1].seq) if len(found) > limit else None
        return Page([message_of(row) for row in found[:limit]], following)

    async def drain(self) -> None:
        """Wait until what was accepted is stored and told."""
        if self._delivering:
            await asyncio.wait(self._delivering)

    async def _prepare(self, caller: Caller, item: Outgoing) -> Outgoing:
        """Clean the body and let `before_send` change or refuse; reads only where somebody must be asked."""
        body = clean_body(item.kind, item.body, self._settings.max_length)
        hooks = caller.kit.hooks
        if item.reply_to is None and not hooks.implementors(before_send):
            return msgspec.structs.replace(item, body=body)
        async with caller.begin(readonly=True) as ctx:
            conversation, me = await demand_member(ctx, item.conversation)
            if not may_send(conversation.kind, me.role):
                raise Forbidden("your role reads here, it does not send")
            if item.reply_to is not None:
                await _demand_reply(ctx, item.conversation, item.reply_to, me.since_seq)
            draft = Draft(
                conversation=item.conversation,
                sender=item.sender,
                client_id=item.client_id,
                kind=item.kind,
                body=body,
                reply_to=item.reply_to,
            )
            draft = await hooks.pipe(before_send, draft, ctx)
        body = clean_body(draft.kind, draft.body, self._settings.max_length)
        return msgspec.structs.replace(item, kind=draft.kind, body=body, reply_to=draft.reply_to)

    async def _deliver(self, item: Outgoing) -> Sent:
        """Append, then tell: the publication goes out after the commit, with the message's place as its offset."""
        try:
            stored = await self._lane.append(item)
        except Problem:
            await self._rates.refund("conversation", item.conversation)  # outsiders must not use up the room's rate
            raise
        if stored.dup:
            return stored.answer()
        message = item.message(stored)
        publication = message_publication(message)
        await self._realtime.publish(f"conv:{message.conv}", publication.data, offset=publication.offset)
        self._hints.note(item.conversation)
        return Sent(message.id, message.seq, message.no, message.ts)


def _outgoing(caller: Caller, conv: str, request: PostMessage) -> Outgoing:
    """Read what the client sent; its body is not cleaned yet."""
    reply_to = None if request.reply_to is None else parse_id("msg", request.reply_to, pointer="/reply_to")
    return Outgoing(
        id=uuid7(),
        outbox=uuid7(),
        conversation=parse_id("cnv", conv, pointer="/conv"),
        tenant=caller.tenant,
        sender=caller.actor.id,
        client_id=request.client_id,
        body_hash=body_hash(request.kind, request.body, reply_to),
        kind=request.kind,
        body=request.body,
        reply_to=reply_to,
        created_at=caller.kit.clock.now(),
        trace=caller.request_id,
    )


async def _stored_before(caller: Caller, item: Outgoing) -> Sent | None:
    """Look a refused send's key up."""
    statement = select(MessageRow).where(
        MessageRow.conversation == item.conversation,
        MessageRow.sender == item.sender,
        MessageRow.client_id == item.client_id,
    )
    async with caller.begin(readonly=True) as ctx:
        row = await ctx.session.scalar(statement)
    if row is None:
        return None
    return item.repeated(row.id, row.seq, row.no, row.created_at, row.body_hash).answer()


async def _demand_reply(ctx: Context, conversation: UUID, message: UUID, since_seq: int) -> None:
    """Refuse a reply to what the sender cannot see in this conversation."""
    original = select(MessageRow.seq).where(
        MessageRow.id == message, MessageRow.conversation == conversation, MessageRow.seq > since_seq
    )
    if await ctx.session.scalar(original) is None:
        raise Invalid("no such message in this conversation", pointer="/reply_to")


def _start(before: int | None, after: int | None, cursor: str | None) -> tuple[Literal["before", "after"], int | None]:
    """Tell from where to read and in which order; the three ways to say it exclude each other."""
    if sum(way is not None for way in (before, after, cursor)) > 1:
        raise Invalid("give one of before, after and cursor", pointer="/cursor")
    if cursor is not None:
        return decode_cursor(cursor, tuple[Literal["before", "after"], int], pointer="/cursor")
    return ("before", before) if after is None else ("after", after)
