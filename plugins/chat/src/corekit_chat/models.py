"""Chat's tables. One sequence per conversation: a message is its own log entry, all else is a `chat_event` row.

Messages are written by the lane alone, whose SQL asks what the policies below would.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Index, UniqueConstraint, and_, exists, or_
from sqlalchemy.orm import Mapped, aliased, mapped_column

from corekit.contracts.messaging import ConversationKind, MessageKind, Role
from corekit.data import PII, Base, Policy, Predicate, actor


class ConversationRow(Base):
    """A conversation: `last_seq` counts everything that happened in it, `message_count` its messages."""

    __tablename__ = "chat_conversation"
    __table_args__ = ({"sqlite_with_rowid": False},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    kind: Mapped[ConversationKind]
    direct_key: Mapped[Annotated[str | None, PII("id", subject="created_by")]] = mapped_column(unique=True)
    title: Mapped[Annotated[str | None, PII("content", subject="created_by")]]
    epoch: Mapped[str]
    last_seq: Mapped[int]
    message_count: Mapped[int]
    member_count: Mapped[int]
    created_by: Mapped[Annotated[UUID, PII("id", subject="created_by")]]
    created_at: Mapped[datetime]
    active_at: Mapped[datetime]


class MemberRow(Base):
    """A person in a conversation, also after leaving: what they could see until then stays theirs."""

    __tablename__ = "chat_member"

    conversation: Mapped[UUID] = mapped_column(ForeignKey("chat_conversation.id"), primary_key=True)
    usr: Mapped[Annotated[UUID, PII("id", subject="usr")]] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    role: Mapped[Role]
    since_seq: Mapped[int]
    left_at: Mapped[datetime | None]
    left_seq: Mapped[int | None]
    delivered_seq: Mapped[int]
    read_seq: Mapped[int]
    read_no: Mapped[int]
    joined_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_chat_member_usr_conversation", "usr", "conversation"),
        {"sqlite_with_rowid": False},
    )


class MessageRow(Base):
    """A message. The lane that inserts it has raised the conversation's counters in the same transaction."""

    __tablename__ = "chat_message"

    conversation: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(unique=True)
    tenant: Mapped[UUID | None]
    no: Mapped[int]
    sender: Mapped[Annotated[UUID, PII("id", subject="sender")]]
    client_id: Mapped[str]
    body_hash: Mapped[Annotated[bytes, PII("content", subject="sender")]]  # a short body can be guessed from it
    kind: Mapped[MessageKind]
    body: Mapped[Annotated[str | None, PII("content", subject="sender")]]
    reply_to: Mapped[UUID | None]
    rev: Mapped[int]
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("conversation", "sender", "client_id"),
        {"sqlite_with_rowid": False},
    )


class EventRow(Base):
    """An entry of the log that is no message; `data` names ids and holds no text."""

    __tablename__ = "chat_event"
    __table_args__ = ({"sqlite_with_rowid": False},)

    conversation: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant: Mapped[UUID | None]
    kind: Mapped[str]
    actor: Mapped[Annotated[UUID, PII("id", subject="actor")]]
    data: Mapped[Annotated[dict[str, Any], PII("id", subject="actor")]]
    created_at: Mapped[datetime]


_me = aliased(MemberRow)
_seat = aliased(MemberRow)


def _reads(row: Any) -> ColumnElement[bool]:
    """Say that who acts may read an entry of a conversation's log; what they could see until they left stays theirs.

    It asks for the own seat, which anybody may read: no predicate is needed, whose call for each row would cost more.
    """
    return exists().where(
        _me.conversation == row.conversation,
        _me.usr == actor(),
        _me.since_seq < row.seq,
        or_(_me.left_seq.is_(None), row.seq <= _me.left_seq),
    )


def _present(conv: ColumnElement[UUID], who: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Say that somebody is in a conversation now."""
    return and_(_me.conversation == conv, _me.usr == who, _me.left_at.is_(None))


is_present = Predicate(
    "chat_is_present", lambda conv, actor: exists().where(_present(conv, actor)), conv=UUID, actor=UUID
)

is_empty = Predicate(
    "chat_is_empty", lambda conv, _actor: ~exists().where(_seat.conversation == conv), conv=UUID, actor=UUID
)

is_founder = Predicate(
    "chat_is_founder",
    lambda conv, actor: and_(
        exists().where(ConversationRow.id == conv, ConversationRow.created_by == actor),
        ~exists().where(_seat.conversation == conv),
    ),
    conv=UUID,
    actor=UUID,
)

may_seat = Predicate(
    "chat_may_seat",
    lambda conv, role, actor: exists().where(
        _present(conv, actor), or_(_me.role == "owner", and_(_me.role == "admin", role != "owner"))
    ),
    conv=UUID,
    role=str,
    actor=UUID,
)

may_remove = Predicate(
    "chat_may_remove",
    lambda conv, actor: exists().where(_present(conv, actor), _me.role.in_(("moderator", "admin", "owner"))),
    conv=UUID,
    actor=UUID,
)

keeps_seat = Predicate(
    "chat_keeps_seat",
    lambda conv, usr, role, since, left, actor: and_(
        exists().where(_present(conv, actor)),
        exists().where(
            _seat.conversation == conv,
            _seat.usr == usr,
            _seat.role == role,
            _seat.since_seq <= since,
            or_(_seat.left_at.is_(None), left),  # who has left comes back by a new seat only
        ),
    ),
    conv=UUID,
    usr=UUID,
    role=str,
    since=int,
    left=bool,
    actor=UUID,
)

Policy(
    ConversationRow,
    # Who makes one sees it before anybody is in it, themselves included.
    read=lambda c: or_(exists().where(_present(c.id, actor())), and_(c.created_by == actor(), is_empty(c.id, actor()))),
    insert=lambda c: c.created_by == actor(),
    update=lambda c: exists().where(_present(c.id, actor())),
)
Policy(
    MemberRow,
    read=lambda m: or_(m.usr == actor(), is_present(m.conversation, actor())),
    insert=lambda m: or_(
        and_(m.usr == actor(), is_founder(m.conversation, actor())), may_seat(m.conversation, m.role, actor())
    ),
    update=lambda m: or_(and_(m.usr == actor(), m.left_at.is_(None)), may_remove(m.conversation, actor())),
    check=lambda m: or_(
        keeps_seat(m.conversation, m.usr, m.role, m.since_seq, m.left_at.is_not(None), actor()),
        may_seat(m.conversation, m.role, actor()),
    ),
)
Policy(MessageRow, read=_reads)
Policy(
    EventRow,
    read=_reads,
    insert=lambda e: and_(e.actor == actor(), exists().where(_present(e.conversation, actor()))),
)
