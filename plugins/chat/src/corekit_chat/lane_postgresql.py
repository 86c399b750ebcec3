"""The lane `chat.send` on PostgreSQL: one statement per batch, with the locked conversations in a run of their own."""

from typing import Any

from corekit.data import Batch
from corekit.errors import Forbidden
from corekit_chat.errors import NotMember
from corekit_chat.outgoing import TAG, Outgoing, Stored

# A repeat is answered whatever has happened since; `may` is null for who is not there, false for who only reads.
_SEND = f"""
WITH locked AS MATERIALIZED (
  SELECT 0::bigint AS ord FROM chat_conversation WHERE id = ANY($14::uuid[]) ORDER BY id FOR NO KEY UPDATE
), item AS MATERIALIZED (
  SELECT i.*, old.*, may.may, old_id IS NULL AND may.may AS fresh,
         row_number() OVER (PARTITION BY i.conversation, old_id IS NULL AND may.may ORDER BY i.ord) AS n
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::bytea[], $7::text[], $8::text[],
                $9::uuid[], $10::timestamptz[], $11::uuid[], $12::text[], $13::text[]) WITH ORDINALITY
      AS i(conversation, tenant, sender, client_id, id, body_hash, kind, body,
           reply_to, created_at, outbox, event, trace, ord)
    LEFT JOIN LATERAL (
      SELECT id AS old_id, seq AS old_seq, no AS old_no, created_at AS old_at, body_hash AS old_hash FROM chat_message m
       WHERE m.conversation = i.conversation AND m.sender = i.sender AND m.client_id = i.client_id LIMIT 1) old ON true
    LEFT JOIN LATERAL (
      SELECT m.role <> 'guest' AND (c.kind <> 'channel' OR m.role <> 'member') AS may
        FROM chat_member m, chat_conversation c
       WHERE m.conversation = i.conversation AND m.usr = i.sender AND m.left_at IS NULL
         AND c.id = i.conversation AND c.tenant IS NOT DISTINCT FROM i.tenant LIMIT 1) may ON true
), counted AS (
  UPDATE chat_conversation c
     SET last_seq = c.last_seq + k.n, message_count = c.message_count + k.n, active_at = k.active_at
    FROM (SELECT conversation, max(n) AS n, max(created_at) AS active_at FROM item WHERE fresh GROUP BY conversation) k
   WHERE c.id = k.conversation RETURNING c.id, c.last_seq - k.n AS seq, c.message_count - k.n AS no
), placed AS MATERIALIZED (
  SELECT item.*, counted.seq + item.n AS seq, counted.no + item.n AS no
    FROM item JOIN counted ON counted.id = item.conversation WHERE item.fresh
), message AS (
  INSERT INTO chat_message (conversation, seq, id, tenant, no, sender, client_id, body_hash, kind, body, reply_to, rev,
                            created_at)
  SELECT conversation, seq, id, tenant, no, sender, client_id, body_hash, kind, body, reply_to, 1, created_at
    FROM placed
), told AS (
  INSERT INTO corekit_outbox (id, kind, tag, payload, priority, tenant, actor, trace, created_at)
  SELECT outbox, 'event', '{TAG}', convert_to(event || seq || '}}', 'UTF8'), 0, tenant, sender, trace, created_at
    FROM placed
)
SELECT i.ord, p.seq, p.no, i.may, i.old_id, i.old_seq, i.old_no, i.old_at, i.old_hash
  FROM item i LEFT JOIN placed p ON p.ord = i.ord
UNION ALL SELECT ord, null, null, null, null, null, null, null, null FROM locked
"""  # noqa: S608  # the tag is a constant of the code


def _columns(item: Outgoing) -> tuple[Any, ...]:
    """List the values of one item in the order of the statement's parameters."""
    return (
        *(item.conversation, item.tenant, item.sender, item.client_id, item.id, item.body_hash, item.kind, item.body),
        *(item.reply_to, item.created_at, item.outbox, item.event(0).removesuffix(b"0}").decode(), item.trace),
    )


def _answer(item: Outgoing, row: Any) -> Stored:
    """Read what became of an item.

    Raises:
        NotMember: no such conversation, or the sender is not in it.
        Forbidden: the sender only reads there.
        IdempotencyConflict: the `client_id` belongs to another message.

    """
    _, seq, no, may, *old = row
    if old[0] is not None:
        return item.repeated(*old)
    if may is None:
        raise NotMember
    if not may:
        raise Forbidden("your role reads here, it does not send")
    return Stored(item.id, seq, no, item.created_at)


SEND = Batch(_SEND, _columns, _answer, once=lambda item: (item.conversation, item.sender, item.client_id), locks=True)
