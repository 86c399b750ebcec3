"""The lane `chat.send` on PostgreSQL: two statements in a transaction per item."""

from typing import Any

from corekit.errors import Forbidden
from corekit_chat.errors import NotMember
from corekit_chat.outgoing import TAG, Outgoing, Stored

_TAKE = """
UPDATE chat_conversation c SET last_seq = last_seq + 1, message_count = message_count + 1, active_at = $5
 WHERE id = $1 AND tenant IS NOT DISTINCT FROM $4
   AND EXISTS (SELECT 1 FROM chat_member m WHERE m.conversation = $1 AND m.usr = $2 AND m.left_at IS NULL
               AND m.role <> 'guest' AND (c.kind <> 'channel' OR m.role <> 'member'))
   AND NOT EXISTS (SELECT 1 FROM chat_message WHERE conversation = $1 AND sender = $2 AND client_id = $3)
RETURNING last_seq, message_count
"""
# The row lock of the first statement is held now, so this one sees every removal that came before: it asks once more.
_STORE = """
WITH message AS (
  INSERT INTO chat_message (conversation, seq, id, tenant, no, sender, client_id, body_hash, kind, body, reply_to, rev,
                            created_at)
  SELECT $1::uuid, $2::bigint, $3::uuid, $4::uuid, $5::bigint, $6::uuid, $7::text, $8::bytea, $9::text, $10::text,
         $11::uuid, 1, $12::timestamptz
   WHERE EXISTS (SELECT 1 FROM chat_member WHERE conversation = $1 AND usr = $6 AND left_at IS NULL)
  RETURNING id
)
INSERT INTO corekit_outbox (id, kind, tag, payload, priority, tenant, actor, trace, created_at)
SELECT $13::uuid, 'event', $14::text, $15::bytea, 0, $4, $6, $16::text, $12 FROM message
"""
_REPEATED = """
SELECT id, seq, no, created_at, body_hash FROM chat_message WHERE conversation = $1 AND sender = $2 AND client_id = $3
"""
_PRESENT = """
SELECT 1 FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation
 WHERE m.conversation = $1 AND m.usr = $2 AND m.left_at IS NULL AND c.tenant IS NOT DISTINCT FROM $3
"""


async def send(connection: Any, item: Outgoing) -> Stored:
    """Take the next place in the conversation, store the message there, and record its event.

    Raises:
        NotMember: no such conversation, or the sender is not in it.
        Forbidden: the sender only reads there.
        IdempotencyConflict: the `client_id` belongs to another message.

    """
    who = (item.conversation, item.sender, item.client_id)
    taken = await connection.fetchrow(_TAKE, *who, item.tenant, item.created_at)
    if taken is None:
        return await _refused(connection, item)
    seq, no = taken
    stored = await connection.execute(
        _STORE,
        *(item.conversation, seq, item.id, item.tenant, no, item.sender, item.client_id, item.body_hash, item.kind),
        *(item.body, item.reply_to, item.created_at, item.outbox, TAG, item.event(seq), item.trace),
    )
    if stored == "INSERT 0 0":
        raise _lost_race()
    return Stored(item.id, seq, no, item.created_at)


async def _refused(connection: Any, item: Outgoing) -> Stored:
    """Tell a repeat from a refusal; the key comes first, so a repeat is answered whatever has happened since."""
    if row := await connection.fetchrow(_REPEATED, item.conversation, item.sender, item.client_id):
        return item.repeated(*row)
    if await connection.fetchrow(_PRESENT, item.conversation, item.sender, item.tenant):
        raise Forbidden("your role reads here, it does not send")
    raise NotMember


def _lost_race() -> Exception:
    """Make the error that has the lane run the item again: the sender was removed while it waited for the row."""
    from asyncpg import SerializationError  # noqa: PLC0415  # the driver is installed only where it is used

    return SerializationError("removed while waiting")
