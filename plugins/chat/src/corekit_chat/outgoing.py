"""What goes into the lane `chat.send` and what comes out of it."""

from datetime import datetime
from uuid import UUID

import msgspec

from corekit.contracts.messaging import Message, MessageKind, MessageSent, Sent
from corekit.events import tag_of
from corekit.values import rfc3339, typeid
from corekit_chat.errors import IdempotencyConflict

TAG = tag_of(MessageSent)


class Stored(msgspec.Struct, frozen=True):
    """A message that is durable; `dup` says that an earlier try stored it."""

    id: UUID
    seq: int
    no: int
    created_at: datetime
    dup: bool = False

    def answer(self) -> Sent:
        """Write it for the sender."""
        return Sent(typeid("msg", self.id), self.seq, self.no, rfc3339(self.created_at), self.dup)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way; `sender` is the authenticated caller, `body_hash` is of what the client sent."""

    id: UUID
    outbox: UUID
    conversation: UUID
    tenant: UUID | None
    sender: UUID
    client_id: str
    body_hash: bytes
    kind: MessageKind
    body: str
    reply_to: UUID | None
    created_at: datetime
    trace: str

    def event(self, seq: int) -> bytes:
        """Encode the event that tells of it, once its place is known."""
        event = MessageSent(conversation=self.conversation, message=self.id, sender=self.sender, seq=seq)
        return msgspec.json.encode(event)

    def repeated(self, id_: UUID, seq: int, no: int, created_at: datetime, body_hash: bytes) -> Stored:
        """Answer with what is stored under this `client_id`.

        Raises:
            IdempotencyConflict: that was another message.

        """
        if body_hash != self.body_hash:
            raise IdempotencyConflict("use a new client_id for each message", pointer="/client_id")
        return Stored(id_, seq, no, created_at, dup=True)

    def message(self, stored: Stored) -> Message:
        """Show it as readers see it."""
        return Message(
            id=typeid("msg", stored.id),
            conv=typeid("cnv", self.conversation),
            seq=stored.seq,
            no=stored.no,
            sender=typeid("usr", self.sender),
            client_id=self.client_id,
            kind=self.kind,
            body=self.body,
            reply_to=None if self.reply_to is None else typeid("msg", self.reply_to),
            rev=1,
            ts=rfc3339(stored.created_at),
        )
