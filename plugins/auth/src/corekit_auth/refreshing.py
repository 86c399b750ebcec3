"""Refresh: one counter per session tells a lost answer and several tabs from theft."""

from datetime import timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import bindparam, update
from sqlalchemy.sql.dml import ReturningUpdate

from corekit.context import Caller, Context
from corekit.contracts.auth import EndReason, RefreshReuseDetected
from corekit.data.base import table_of
from corekit_auth import refresh_tokens
from corekit_auth.errors import (
    BannedAtSignIn,
    Overloaded,
    RefreshTokenAlreadyUsed,
    RefreshTokenForeign,
    RefreshTokenNotFound,
    SessionExpired,
)
from corekit_auth.legacy_refresh import is_legacy, legacy_session
from corekit_auth.models import SessionRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.purposes import SIGN_IN
from corekit_auth.raising import Raising
from corekit_auth.records import Record
from corekit_auth.refresh_tokens import RefreshToken
from corekit_auth.sessions import AGENT_MAX
from corekit_auth.telling import tell

_READS = 3
Reuse = Literal["", "concurrent-refresh", "fail-to-save"]


class _Seen(msgspec.Struct, frozen=True):
    """A session as it was read, with the genuine token that asked for it."""

    account: Record
    key: bytes
    token: RefreshToken
    worn: dict[str, Any]  # what is to be written because a second factor was passed too long ago

    @property
    def behind(self) -> int:
        """How many rotations the token missed."""
        return self.account.session.counter - self.token.counter


class Refreshing:
    """Reads first, then increments in one conditional statement: no lock is held, and a loser reads again."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._records = parts.records
        self._sessions = parts.sessions
        self._raising = Raising(parts.settings, parts.sessions)
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._statements: dict[tuple[str, ...], ReturningUpdate[int]] = {}

    async def refresh(self, caller: Caller, text: str) -> Grant:
        """Answer a refresh token with a new one, with the current one, or, where it was stolen, with the end.

        Raises:
            RefreshTokenNotFound: it does not parse, was forged, or its session has ended.
            RefreshTokenAlreadyUsed: it is two or more behind: its session is over now.
            RefreshTokenForeign: it is ahead of its session.
            SessionExpired, BannedAtSignIn: the session may not go on.

        """
        caller.demand_free("refresh")
        for _ in range(_READS):
            seen = await (self._read_legacy(caller, text) if is_legacy(text) else self._read(caller, text))
            await self._demand_good(caller, seen)
            grant = await (self._rotate(caller, seen) if seen.behind == 0 else self._repeat(caller, seen))
            if grant is not None:
                return grant
        raise Overloaded

    async def _read(self, caller: Caller, text: str) -> _Seen:
        token = refresh_tokens.parse(text)
        if token is not None:
            seen = await self._seen(caller, token)
            if seen is not None and token.genuine(seen.key):
                return seen
        await self._throttle.forged(caller)
        raise RefreshTokenNotFound

    async def _read_legacy(self, caller: Caller, text: str) -> _Seen:
        """Read the session of a token of version 1: what it may do is what the session's first of ours might."""
        await self._throttle.legacy(caller)
        async with caller.system(SIGN_IN).begin(readonly=True) as ctx:
            session_id = await legacy_session(ctx, text)
        seen = await self._seen(caller, RefreshToken(session_id, 0, b"")) if session_id is not None else None
        if seen is None:
            raise RefreshTokenNotFound
        await self._throttle.legacy_found(caller)
        return seen

    async def _seen(self, caller: Caller, token: RefreshToken) -> _Seen | None:
        elevated = caller.system(SIGN_IN)
        account = await self._records.read(elevated, token.session_id)
        if account is None:
            return None
        key = await self._records.key(elevated, account.session)
        return _Seen(account, key, token, self._raising.worn(account, caller.kit.clock.now()))

    async def _demand_good(self, caller: Caller, seen: _Seen) -> None:
        session, user, now = seen.account.session, seen.account.user, caller.kit.clock.now()
        if user.banned_until is not None and user.banned_until > now:
            raise BannedAtSignIn
        used = session.refreshed_at or session.created_at
        life, idle = self._settings.absolute_life, self._settings.inactivity  # 0: without end
        too_old = life > 0 and now - session.created_at >= timedelta(seconds=life)
        unused = idle > 0 and now - used >= timedelta(seconds=idle)
        if too_old or unused or (session.not_after is not None and now >= session.not_after):
            await self._end(caller, seen, "expired")
            raise SessionExpired

    async def _rotate(self, caller: Caller, seen: _Seen) -> Grant | None:
        """Count one up; None where somebody else was faster."""
        session, now = seen.account.session, caller.kit.clock.now()
        if not await self._throttle.may_rotate(caller, session.id.hex):
            return await self._repeated(caller, seen)
        values = seen.worn | {
            "refreshed_at": now,
            "updated_at": now,
            "user_agent": caller.client.user_agent[:AGENT_MAX] or None,
            "ip": caller.client.address or None,
        }
        named = {f"new_{name}": value for name, value in values.items()}
        found = {"session_id": session.id, "seen": session.counter}
        async with caller.system(SIGN_IN).begin() as ctx:
            counter = await ctx.session.scalar(self._count_up(*values), named | found)
            return None if counter is None else await self._grant(ctx, seen, counter)

    def _count_up(self, *columns: str) -> ReturningUpdate[int]:
        """Write the statement that counts one up and sets these columns, each to what is bound as `new_` and its name.

        It is kept: built each time, it took about a fifth of the CPU time of a refresh.
        """
        table = table_of(SessionRow)
        if columns not in self._statements:
            self._statements[columns] = (
                update(table)
                .where(table.c.id == bindparam("session_id"), table.c.counter == bindparam("seen"))
                .values(counter=table.c.counter + 1, **{name: bindparam(f"new_{name}") for name in columns})
                .returning(table.c.counter)
            )
        return self._statements[columns]

    async def _repeat(self, caller: Caller, seen: _Seen) -> Grant:
        """Hand the current token out once more, or end the session of a token that was stolen."""
        session = seen.account.session
        if seen.behind < 0:
            raise RefreshTokenForeign
        since = caller.kit.clock.now() - (session.refreshed_at or session.created_at)
        recent = since < timedelta(seconds=self._settings.reuse_interval)
        if seen.token.counter >= session.counter_floor and (seen.behind == 1 or recent):
            cause: Reuse = "fail-to-save" if seen.behind == 1 else "concurrent-refresh"
            return await self._repeated(caller, seen, cause)
        if not recent:
            await self._end(caller, seen, "reuse")
        raise RefreshTokenAlreadyUsed

    async def _end(self, caller: Caller, seen: _Seen, reason: EndReason) -> None:
        """End the session in a context of its own, which commits although the answer is a refusal."""
        session = seen.account.session
        async with caller.system(SIGN_IN).begin() as ctx:
            ended = await self._sessions.end(ctx, session.user_id, reason, only=session.id)
            if ended and reason == "reuse":
                await tell(ctx, RefreshReuseDetected(user_id=session.user_id, session_id=session.id))

    async def _repeated(self, caller: Caller, seen: _Seen, reuse: Reuse = "") -> Grant:
        async with caller.system(SIGN_IN).begin(readonly=True) as ctx:
            return await self._grant(ctx, seen, seen.account.session.counter, reuse)

    async def _grant(self, ctx: Context, seen: _Seen, counter: int, reuse: Reuse = "") -> Grant:
        account = seen.account
        return await self._tokens.grant(
            ctx,
            account.user,
            account.identities,
            account.session,
            seen.key,
            factors=account.factors,
            counter=counter,
            reuse=reuse,
            refreshing=True,
        )
