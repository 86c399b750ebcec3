"""The store of idempotency keys, in the kit's own database (draft-ietf-httpapi-idempotency-key-header)."""

from datetime import timedelta
from hmac import compare_digest
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Caller, Context
from corekit.data.base import table_of
from corekit.data.crypto import seal
from corekit.errors import Forbidden, Unauthenticated
from corekit.guard.idempotency.keys import IdempotencyKey, row_id
from corekit.guard.idempotency.problems import IdempotencyInProgress, IdempotencyKeyReused, Replay, Unsettled
from corekit.guard.idempotency.rows import IdempotencyRow
from corekit.guard.idempotency.values import Claim, Reply
from corekit.settings import Settings

PURPOSE = "corekit.idempotency"
TABLE = table_of(IdempotencyRow)
_TRIES = 3  # a key that comes and goes this often while it is looked at is being worked on
_Headers = tuple[tuple[str, str], ...]


class IdempotencySettings(Settings, frozen=True):
    """`[idempotency]`: a claim holds its key for `lease` seconds; a reply is kept for `keep_days`."""

    lease: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 30


class Idempotency:
    """Keys and replies. A plugin claims, names the resource and settles, each in a context of its own.

    The guard of the route does the rest after the commit: it stores the reply, or lets the key go.
    """

    def __init__(self, settings: IdempotencySettings) -> None:
        self._lease = timedelta(seconds=settings.lease)

    async def claim(self, ctx: Context, key: IdempotencyKey, *, principal: UUID | None = None) -> Claim:
        """Take the key in this transaction, or take it over from whoever's lease has ended.

        `principal` names the person where a system purpose works for nobody that it knows as `on_behalf_of`.

        Raises:
            Replay: it was answered already.
            IdempotencyKeyReused: it belongs to another request.
            IdempotencyInProgress: somebody holds it.
            Unauthenticated: nobody acts; a key without a principal would be everybody's.

        """
        ctx.demand_writing("claim")
        who = _principal(ctx, principal)
        id_ = row_id(ctx.tenant, who, key.text)
        for _ in range(_TRIES):
            claim = await self._insert(ctx, id_, who, key) or await self._take_over(ctx, id_, who, key)
            if claim is not None:
                _note(ctx, key, claim)
                return claim
        raise IdempotencyInProgress

    async def attach(self, ctx: Context, claim: Claim, resource: str, *, settled: bool = False) -> None:
        """Name what is made under the key, in the transaction that makes it; `settled` if nothing is left to be done.

        Raises:
            IdempotencyInProgress: somebody has taken the key over meanwhile; this transaction must not commit.

        """
        values = {"resource": resource, "state": "settled" if settled else "running"}
        unnamed = and_(_held(claim), TABLE.c.state == "running", TABLE.c.resource.is_(None))
        if not await _changed(ctx, update(TABLE).where(unnamed).values(values)):
            raise IdempotencyInProgress

    async def settle(self, ctx: Context, resource: str) -> None:
        """Say that what was made has come to its end: from now on a reply about it is final.

        Whoever brings the end about calls it, in the same transaction: the route, a job, a webhook.
        """
        running = and_(TABLE.c.resource == resource, TABLE.c.state == "running")
        await ctx.session.execute(update(TABLE).where(running).values(state="settled"))

    async def finish(self, caller: Caller, claim: Claim, reply: Reply) -> None:
        """Store the reply, before it is sent.

        Raises:
            Replay: another attempt has answered meanwhile; its reply is the one to send.
            IdempotencyInProgress: another attempt has taken the key over, and will answer.
            Unsettled: the route answers for good what is still in hand, or has named no resource.

        """
        async with caller.system(PURPOSE).begin() as ctx:
            fields = {"headers": msgspec.json.encode(reply.headers), "body": reply.body}
            sealed: dict[str, Any] = {
                name: await seal(ctx.session, getattr(IdempotencyRow, name), claim.id, plain, claim.principal)
                for name, plain in fields.items()
            }
            values = {"state": "done", "status": reply.status, "finished_at": ctx.now(), **sealed}
            settled = and_(_held(claim), TABLE.c.state == "settled")
            if await _changed(ctx, update(TABLE).where(settled).values(values)):
                return
            row = await _read(ctx, claim.id)
            if row is not None and row.state == "done":
                raise Replay(await _open(ctx, row))
            if row is not None and row.lock_token == claim.token:
                raise Unsettled(f"the reply is final, but its resource is {'running' if row.resource else 'not named'}")
            raise IdempotencyInProgress

    async def release(self, caller: Caller, claim: Claim) -> None:
        """End the lease: whoever comes next with the key goes on with what was made."""
        async with caller.system(PURPOSE).begin() as ctx:
            await _end_lease(ctx, claim)

    async def drop(self, caller: Caller, claim: Claim) -> None:
        """Forget a claim under which nothing was made, after a `Refused`; otherwise end its lease."""
        async with caller.system(PURPOSE).begin() as ctx:
            unused = and_(_held(claim), TABLE.c.state == "running", TABLE.c.resource.is_(None))
            if not await _changed(ctx, delete(TABLE).where(unused)):
                await _end_lease(ctx, claim)

    async def _insert(self, ctx: Context, id_: UUID, who: UUID, key: IdempotencyKey) -> Claim | None:
        insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
        values = {
            "id": id_,
            "tenant": ctx.tenant,
            "principal": who,
            "key": key.text,
            "fingerprint": key.fingerprint,
            "state": "running",
            "lock_token": 1,
            "lease_until": ctx.now() + self._lease,
            "created_at": ctx.now(),
        }
        return (
            Claim(id_, who, 1) if await _changed(ctx, insert(TABLE).values(values).on_conflict_do_nothing()) else None
        )

    async def _take_over(self, ctx: Context, id_: UUID, who: UUID, key: IdempotencyKey) -> Claim | None:
        """Judge the row that is there; None if it is gone, or somebody was faster."""
        row = await _read(ctx, id_)  # a statement of its own: it sees what a rival committed meanwhile
        if row is None:
            return None
        if not compare_digest(row.fingerprint, key.fingerprint):
            raise IdempotencyKeyReused("another method, path or body came under it first")
        if row.state == "done":
            raise Replay(await _open(ctx, row))
        if row.lease_until > ctx.now():
            raise IdempotencyInProgress
        free = and_(TABLE.c.id == id_, TABLE.c.state != "done", TABLE.c.lease_until <= ctx.now())
        taken = {"lock_token": TABLE.c.lock_token + 1, "lease_until": ctx.now() + self._lease}
        returned = (TABLE.c.lock_token, TABLE.c.state, TABLE.c.resource)
        found = (await ctx.session.execute(update(TABLE).where(free).values(taken).returning(*returned))).first()
        return None if found is None else Claim(id_, who, *found)


def _principal(ctx: Context, given: UUID | None) -> UUID:
    """Name the person whose key it is: whom an elevated context works for, or who acts."""
    if ctx.actor.kind == "system":
        behalf = ctx.on_behalf_of
        found = given or (behalf.id if behalf else None)
    else:
        found = ctx.actor.id if ctx.actor.kind in {"user", "service"} else None
        if given not in {None, found}:
            raise Forbidden("only a system purpose claims a key of somebody else")
    if found is None:
        raise Unauthenticated("a key is somebody's")
    return found


def _note(ctx: Context, key: IdempotencyKey, claim: Claim) -> None:
    """Let the guard of the route know the claim, if it is committed."""

    async def committed() -> None:
        key.claim = claim

    ctx.on_commit(committed)


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(TABLE.c.id == claim.id, TABLE.c.lock_token == claim.token)


async def _end_lease(ctx: Context, claim: Claim) -> None:
    mine = and_(_held(claim), TABLE.c.state != "done")
    await ctx.session.execute(update(TABLE).where(mine).values(lease_until=ctx.now()))


async def _changed(ctx: Context, statement: Any) -> bool:
    return (await ctx.session.execute(statement.returning(TABLE.c.id))).first() is not None


async def _read(ctx: Context, id_: UUID) -> Any:
    return (await ctx.session.execute(select(*TABLE.c).where(TABLE.c.id == id_))).first()


async def _open(ctx: Context, row: Any) -> Reply:
    """Decrypt what was answered."""
    headers = await ctx.reveal(IdempotencyRow.headers, row.id, row.headers)
    body = await ctx.reveal(IdempotencyRow.body, row.id, row.body)
    return Reply(row.status, msgspec.json.decode(headers, type=_Headers), body)
