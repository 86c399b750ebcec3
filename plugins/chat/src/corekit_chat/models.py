"""Chat's tables. One sequence per conversation: a message is its own log entry, all else is a `chat_event` row."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from corekit.contracts.messaging import ConversationKind, MessageKind, Role
from corekit.data import PII, Base


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
