"""The lane `chat.send` on SQLite: three statements in the group writer's transaction."""

import sqlite3
from uuid import UUID

from corekit.data.base import from_micros, to_micros
from corekit.errors import Forbidden
from corekit_chat.errors import NotMember
from corekit_chat.outgoing import TAG, Outgoing, Stored

_TAKE = """
UPDATE chat_conversation SET last_seq = last_seq + 1, message_count = message_count + 1, active_at = :now
 WHERE id = :conv AND tenant IS :tenant
   AND EXISTS (SELECT 1 FROM chat_member m WHERE m.conversation = :conv AND m.usr = :sender AND m.left_at IS NULL
               AND m.role <> 'guest' AND (chat_conversation.kind <> 'channel' OR m.role <> 'member'))
   AND NOT EXISTS (SELECT 1 FROM chat_message WHERE conversation = :conv AND sender = :sender AND client_id = :key)
RETURNING last_seq, message_count
"""
_INSERT = """
INSERT INTO chat_message (conversation, seq, id, tenant, no, sender, client_id, body_hash, kind, body, reply_to, rev,
                          created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
"""
_TELL = """
INSERT INTO corekit_outbox (id, kind, tag, payload, priority, tenant, actor, trace, created_at)
VALUES (?, 'event', ?, ?, 0, ?, ?, ?, ?)
"""
_REPEATED = """
SELECT id, seq, no, created_at, body_hash FROM chat_message WHERE conversation = ? AND sender = ? AND client_id = ?
"""
_PRESENT = """
SELECT 1 FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation
 WHERE m.conversation = ? AND m.usr = ? AND m.left_at IS NULL AND c.tenant IS ?
"""


def send(connection: sqlite3.Connection, item: Outgoing) -> Stored:
    """Take the next place in the conversation, store the message there, and record its event.

    Raises:
        NotMember: no such conversation, or the sender is not in it.
        Forbidden: the sender only reads there.
        IdempotencyConflict: the `client_id` belongs to another message.

    """
    conversation, sender, now = item.conversation.bytes, item.sender.bytes, to_micros(item.created_at)
    tenant = item.tenant and item.tenant.bytes
    named = {"conv": conversation, "sender": sender, "key": item.client_id, "tenant": tenant, "now": now}
    taken = connection.execute(_TAKE, named).fetchone()
    if taken is None:
        return _refused(connection, item)
    seq, no = taken
    reply_to = item.reply_to and item.reply_to.bytes
    connection.execute(
        _INSERT,
        (
            *(conversation, seq, item.id.bytes, tenant, no, sender, item.client_id, item.body_hash, item.kind),
            *(item.body, reply_to, now),
        ),
    )
    connection.execute(_TELL, (item.outbox.bytes, TAG, item.event(seq), tenant, sender, item.trace, now))
    return Stored(item.id, seq, no, item.created_at)


def _refused(connection: sqlite3.Connection, item: Outgoing) -> Stored:
    """Tell a repeat from a refusal; the key comes first, so a repeat is answered whatever has happened since."""
    member = (item.conversation.bytes, item.sender.bytes)
    if row := connection.execute(_REPEATED, (*member, item.client_id)).fetchone():
        return item.repeated(UUID(bytes=row[0]), row[1], row[2], from_micros(row[3]), row[4])
    if connection.execute(_PRESENT, (*member, item.tenant and item.tenant.bytes)).fetchone():
        raise Forbidden("your role reads here, it does not send")
    raise NotMember
