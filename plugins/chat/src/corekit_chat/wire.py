"""What clients see: wire structs made of rows, and the publications of the channel `conv:`, each in one form only."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from corekit.contracts.messaging import Conversation, Member, Message, Role
from corekit.contracts.realtime import Publication
from corekit.values import rfc3339, typeid
from corekit_chat.models import ConversationRow, EventRow, MemberRow, MessageRow

_encoder = msgspec.json.Encoder()


class MessageCreated(msgspec.Struct, frozen=True, kw_only=True):
    """`message.created`: a new message, as every reader sees it."""

    t: str = "message.created"
    v: int = 1
    seq: int
    id: str
    ts: str
    by: str
    message: Message


class MemberChanged(msgspec.Struct, frozen=True, kw_only=True):
    """`member.joined`, `member.left` or `member.role`: `id` is the person's too, `role` is null after leaving."""

    t: str
    v: int = 1
    seq: int
    id: str
    ts: str
    by: str
    user: str
    role: Role | None


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """`hint` on `user:`: something happened in a conversation of yours."""

    t: str = "hint"
    v: int = 1
    conv: str
    last_seq: int
    message_count: int


def conv_channel(conversation: UUID) -> str:
    """Name a conversation's recoverable channel."""
    return f"conv:{typeid('cnv', conversation)}"


def eph_channel(conversation: UUID) -> str:
    """Name a conversation's channel of signals that are never stored."""
    return f"eph:{typeid('cnv', conversation)}"


def optional_time(moment: datetime | None) -> str | None:
    """Write a time that may be absent."""
    return None if moment is None else rfc3339(moment)


def optional_id(prefix: str, value: UUID | None) -> str | None:
    """Write an id that may be absent."""
    return None if value is None else typeid(prefix, value)


def message_of(row: MessageRow) -> Message:
    """Show a message; a deleted one has no body."""
    return Message(
        id=typeid("msg", row.id),
        conv=typeid("cnv", row.conversation),
        seq=row.seq,
        no=row.no,
        sender=typeid("usr", row.sender),
        client_id=row.client_id,
        kind=row.kind,
        body=None if row.deleted_at else row.body,
        reply_to=optional_id("msg", row.reply_to),
        rev=row.rev,
        ts=rfc3339(row.created_at),
        edited_at=optional_time(row.edited_at),
        deleted_at=optional_time(row.deleted_at),
    )


def member_of(row: MemberRow) -> Member:
    """Show a member."""
    return Member(
        user=typeid("usr", row.usr),
        role=row.role,
        since_seq=row.since_seq,
        joined_at=rfc3339(row.joined_at),
        delivered_seq=row.delivered_seq,
        read_seq=row.read_seq,
        read_no=row.read_no,
    )


def conversation_of(row: ConversationRow, me: MemberRow, settings: dict[str, Any]) -> Conversation:
    """Show a conversation to one of its members; `settings` are those in force."""
    return Conversation(
        id=typeid("cnv", row.id),
        kind=row.kind,
        title=row.title,
        epoch=row.epoch,
        last_seq=row.last_seq,
        message_count=row.message_count,
        member_count=row.member_count,
        created_by=typeid("usr", row.created_by),
        created_at=rfc3339(row.created_at),
        me=member_of(me),
        settings=settings,
    )


def message_publication(message: Message) -> Publication:
    """Encode a new message for its channel, once for all readers."""
    entry = MessageCreated(seq=message.seq, id=message.id, ts=message.ts, by=message.sender, message=message)
    return Publication(_encoder.encode(entry), message.seq)


def event_publication(row: EventRow) -> Publication:
    """Encode a membership entry for its channel."""
    user = typeid("usr", UUID(row.data["user"]))
    entry = MemberChanged(
        t=row.kind,
        seq=row.seq,
        id=user,
        ts=rfc3339(row.created_at),
        by=typeid("usr", row.actor),
        user=user,
        role=row.data["role"],
    )
    return Publication(_encoder.encode(entry), row.seq)


def hint_publication(conversation: UUID, last_seq: int, message_count: int) -> bytes:
    """Encode a hint for the inboxes of a conversation's members."""
    return _encoder.encode(Hint(conv=typeid("cnv", conversation), last_seq=last_seq, message_count=message_count))
