"""Refresh: one counter per session tells a lost answer and several tabs from theft."""

from datetime import timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import update

from corekit.context import Caller
from corekit.contracts.auth import EndReason, RefreshReuseDetected
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
from corekit_auth.rotating import ROTATE, Rotation
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
        self._lane = parts.kit.lane(ROTATE)

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
        session, now, client = seen.account.session, caller.kit.clock.now(), caller.client
        if not await self._throttle.may_rotate(caller, session.id.hex):
            return await self._grant(caller, seen)
        agent = client.user_agent[:AGENT_MAX] or None
        rotation = Rotation(session.id, session.counter, now, agent, client.address or None)
        if seen.worn and not await self._wear(caller, rotation, seen.worn):
            return None
        counter = session.counter + 1 if seen.worn else await self._lane.append(rotation)
        return None if counter is None else await self._grant(caller, seen, counter)

    async def _wear(self, caller: Caller, rotation: Rotation, worn: dict[str, Any]) -> bool:
        """Count one up and lower what was proved too long ago; false where somebody else was faster."""
        values = {"counter": rotation.seen + 1, "user_agent": rotation.user_agent, "ip": rotation.ip}
        values |= {"refreshed_at": rotation.now, "updated_at": rotation.now} | worn
        mine = (SessionRow.id == rotation.session, SessionRow.counter == rotation.seen)
        counted = update(SessionRow).where(*mine).values(values).returning(SessionRow.id)
        async with caller.system(SIGN_IN).begin() as ctx:
            unsynced = {"synchronize_session": False}
            return await ctx.session.scalar(counted, execution_options=unsynced) is not None

    async def _repeat(self, caller: Caller, seen: _Seen) -> Grant:
        """Hand the current token out once more, or end the session of a token that was stolen."""
        session = seen.account.session
        if seen.behind < 0:
            raise RefreshTokenForeign
        since = caller.kit.clock.now() - (session.refreshed_at or session.created_at)
        recent = since < timedelta(seconds=self._settings.reuse_interval)
        if seen.token.counter >= session.counter_floor and (seen.behind == 1 or recent):
            cause: Reuse = "fail-to-save" if seen.behind == 1 else "concurrent-refresh"
            return await self._grant(caller, seen, reuse=cause)
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

    async def _grant(self, caller: Caller, seen: _Seen, counter: int | None = None, reuse: Reuse = "") -> Grant:
        """Hand out the token of a counter that is committed: whoever never hears of it comes again with the last."""
        account = seen.account
        return await self._tokens.grant(
            caller,
            account.user,
            account.identities,
            account.session,
            seen.key,
            factors=account.factors,
            counter=account.session.counter if counter is None else counter,
            reuse=reuse,
            refreshing=True,
        )
