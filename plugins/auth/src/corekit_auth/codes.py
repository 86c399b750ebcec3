"""One-time codes: a few digits, bound to account, address and purpose, of which only an HMAC of an HMAC is stored."""

import hmac
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Context
from corekit.values import uuid7
from corekit_auth.errors import OtpExpired
from corekit_auth.models import OneTimeTokenRow, TokenKind, UserRow
from corekit_auth.phones import is_phone
from corekit_auth.settings import AuthSettings


class Made(msgspec.Struct, frozen=True):
    """A new code: `token` is typed, `token_hash` stands in the link, and either uses up the other."""

    token: str
    token_hash: str


class Used(msgspec.Struct, frozen=True):
    """A code that was right, and is gone now."""

    user_id: UUID
    kind: TokenKind
    token_hash: str
    phone: bool = False  # it came by SMS


class Codes:
    """Makes codes and takes each once; accounts are locked before their codes, so that nobody waits in a ring."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings

    def ttl(self, address: str) -> float:
        """Return for how many seconds a code is good that goes to this address or number."""
        return self._settings.sms_otp_ttl if is_phone(address) else self._settings.otp_ttl

    async def make(self, ctx: Context, user_id: UUID, kind: TokenKind, address: str) -> Made:
        """Make a code; an older one of the same account and kind is void from here on."""
        token = new_code(self._settings.otp_length)
        token_hash = _hash(ctx, user_id, kind, address, token)
        now = ctx.now()
        fresh = {
            "address_index": _index(ctx, address),
            "mac": _mac(ctx, token_hash),
            "tries": 0,
            "expires_at": now + timedelta(seconds=self.ttl(address)),
            "created_at": now,
            "updated_at": now,
        }
        insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
        row = insert(OneTimeTokenRow).values(id=uuid7(), user_id=user_id, kind=kind, **fresh)
        await ctx.session.execute(row.on_conflict_do_update(index_elements=["user_id", "kind"], set_=fresh))
        return Made(token, token_hash)

    async def use(
        self, ctx: Context, kinds: Collection[TokenKind], address: str, token: str, *, user_id: UUID | None = None
    ) -> Used:
        """Take a code that was typed; a try is counted before it is looked at, so parallel guesses all count.

        Raises:
            OtpExpired: wrong, used, too old, tried too often, or of nobody; what was counted stays.

        """
        mine = [OneTimeTokenRow.address_index == _index(ctx, address), OneTimeTokenRow.kind.in_(list(kinds))]
        if user_id is not None:
            mine.append(OneTimeTokenRow.user_id == user_id)
        owners = (await ctx.session.scalars(select(OneTimeTokenRow.user_id).where(*mine))).all()
        if not owners:
            raise OtpExpired
        await _lock(ctx, owners)
        tried = (
            update(OneTimeTokenRow)
            .where(
                *mine,
                OneTimeTokenRow.tries < self._settings.otp_tries,
                OneTimeTokenRow.expires_at > ctx.now(),
            )
            .values(tries=OneTimeTokenRow.tries + 1, updated_at=ctx.now())
            .returning(OneTimeTokenRow.id, OneTimeTokenRow.user_id, OneTimeTokenRow.kind, OneTimeTokenRow.mac)
            .execution_options(synchronize_session=False)
        )
        found: tuple[UUID, Used] | None = None
        for row in (await ctx.session.execute(tried)).all():
            token_hash = _hash(ctx, row.user_id, row.kind, address, token)
            if hmac.compare_digest(_mac(ctx, token_hash), row.mac):
                found = row.id, Used(row.user_id, row.kind, token_hash, phone=is_phone(address))
        if found is None or not await self._taken(ctx, found[0]):
            raise OtpExpired
        return found[1]

    async def use_hash(self, ctx: Context, kinds: Collection[TokenKind], token_hash: str) -> Used:
        """Take a code by what its link carries.

        Raises:
            OtpExpired: wrong, used, too old, or its digits were tried too often.

        """
        mine = [OneTimeTokenRow.mac == _mac(ctx, token_hash), OneTimeTokenRow.kind.in_(list(kinds))]
        found = (await ctx.session.execute(select(OneTimeTokenRow.id, OneTimeTokenRow.user_id).where(*mine))).first()
        if found is None:
            raise OtpExpired
        await _lock(ctx, [found.user_id])
        kind = await self._taken(ctx, found.id, token_hash)
        if kind is None:
            raise OtpExpired
        return Used(found.user_id, kind, token_hash)

    async def void(self, ctx: Context, user_id: UUID, *kinds: TokenKind) -> None:
        """Make the codes of an account worthless: those of some kinds, or all."""
        statement = delete(OneTimeTokenRow).where(OneTimeTokenRow.user_id == user_id)
        if kinds:
            statement = statement.where(OneTimeTokenRow.kind.in_(kinds))
        await ctx.session.execute(statement)

    async def _taken(self, ctx: Context, row_id: UUID, token_hash: str | None = None) -> TokenKind | None:
        """Delete a code that is still good, in one statement: of parallel uses one gets it."""
        statement = delete(OneTimeTokenRow).where(OneTimeTokenRow.id == row_id)
        if token_hash is not None:  # by its link: no try was counted, so what a try asks is asked here
            statement = statement.where(
                OneTimeTokenRow.mac == _mac(ctx, token_hash),
                OneTimeTokenRow.tries < self._settings.otp_tries,
                OneTimeTokenRow.expires_at > ctx.now(),
            )
        returning = statement.returning(OneTimeTokenRow.kind).execution_options(synchronize_session=False)
        kind: TokenKind | None = await ctx.session.scalar(returning)
        return kind


def new_code(length: int) -> str:
    """Draw so many digits."""
    return str(secrets.randbelow(10**length)).zfill(length)


async def _lock(ctx: Context, user_ids: Collection[UUID]) -> None:
    await ctx.session.execute(
        select(UserRow.id).where(UserRow.id.in_(list(user_ids))).order_by(UserRow.id).with_for_update()
    )


def _index(ctx: Context, address: str) -> bytes:
    medium: Literal["email", "phone"] = "phone" if is_phone(address) else "email"
    return ctx.kit.keyring.index(medium, address)


def _hash(ctx: Context, user_id: UUID, kind: TokenKind, address: str, token: str) -> str:
    return ctx.kit.keyring.mac("auth.code", f"{user_id.hex}\0{kind}\0{address}\0{token}").hex()


def _mac(ctx: Context, token_hash: str) -> bytes:
    return ctx.kit.keyring.mac("auth.code.row", token_hash)
