"""Messaging: conversations and their messages. Ids in structs are wire ids (`cnv_… msg_… usr_…`), in events UUIDs."""

from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

import msgspec

from corekit.context import Caller, Context
from corekit.events import Event
from corekit.hooks import hookspec
from corekit.values import Page

ConversationKind = Literal["direct", "group", "channel"]
Role = Literal["owner", "admin", "moderator", "member", "guest"]
MessageKind = Literal["text", "file", "system", "call", "ciphertext"]
WireId = Annotated[str, msgspec.Meta(max_length=64)]
ClientId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")]  # `$` alone lets a newline pass
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=300)]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a conversation, with two watermarks."""

    user: str
    role: Role
    since_seq: int
    joined_at: str
    delivered_seq: int
    read_seq: int
    read_no: int


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as one of its members sees it."""

    id: str
    kind: ConversationKind
    title: str | None
    epoch: str
    last_seq: int
    message_count: int
    member_count: int
    created_by: str
    created_at: str
    me: Member
    settings: dict[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message, the same for every reader; `seq` is its place among all that happened, `no` among the messages."""

    id: str
    conv: str
    seq: int
    no: int
    sender: str
    client_id: str
    kind: MessageKind
    body: str | None
    reply_to: str | None
    rev: int
    ts: str
    edited_at: str | None = None
    deleted_at: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """The durable answer to a send; `dup` says that this `client_id` was stored before."""

    id: str
    seq: int
    no: int
    ts: str
    dup: bool = False


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message before it is sent, as `before_send` sees it."""

    conversation: UUID
    sender: UUID
    client_id: str
    kind: MessageKind
    body: str
    reply_to: UUID | None = None


class CreateConversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`direct` takes `with` and nothing else; `group` and `channel` take `title` and `members`."""

    kind: ConversationKind
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    with_: WireId | None = msgspec.field(default=None, name="with")
    members: Annotated[list[WireId], msgspec.Meta(max_length=100)] = []


class PostMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sender's client wrote; `client_id` was made when the user pressed send."""

    client_id: ClientId
    body: str
    kind: Literal["text", "ciphertext"] = "text"
    reply_to: WireId | None = None


class MessageSent(Event, frozen=True, tag="messaging.message_sent"):
    """A message is durable. It names the message and holds no text."""

    conversation: UUID
    message: UUID
    sender: UUID
    seq: int


class MemberJoined(Event, frozen=True, tag="messaging.member_joined"):
    """Somebody was added to a conversation after its creation."""

    conversation: UUID
    user: UUID


class MemberLeft(Event, frozen=True, tag="messaging.member_left"):
    """Somebody left a conversation or was removed from it."""

    conversation: UUID
    user: UUID


@hookspec
async def before_send(draft: Draft, ctx: Context) -> Draft | None:
    """Change a message before it is stored (return another draft), or refuse it (raise a Problem).

    Runs in a readonly context that is closed before the message is written: look things up, but write nothing.
    """


class Messaging(Protocol):
    """Conversations and their messages."""

    async def create(self, ctx: Context, request: CreateConversation) -> tuple[Conversation, bool]:
        """Create a conversation, its members included; the flag is False where the direct one existed."""
        ...

    async def get(self, ctx: Context, conv: str) -> Conversation:
        """Return a conversation of the actor's."""
        ...

    async def conversations(self, ctx: Context, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        """Return the actor's conversations, the one where something happened last first."""
        ...

    async def invite(self, ctx: Context, conv: str, user: str, role: Role | None = None) -> tuple[Member, bool]:
        """Add a person; the flag is False where they are present already."""
        ...

    async def remove(self, ctx: Context, conv: str, user: str) -> None:
        """Remove a person, or leave."""
        ...

    async def send(self, caller: Caller, conv: str, request: PostMessage) -> Sent:
        """Store a message and tell its conversation; answers after the commit. Repeat it until it answers."""
        ...

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
        """Return messages newest first (oldest first with `after`); positions are sequence numbers.

        `cursor` is a page's `next`; it stands for the position and the order of the page after it.
        """
        ...
