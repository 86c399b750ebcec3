"""The life of a signing key: next → signing → verifying → retired."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.auth import KeyRotated
from corekit.values import uuid7
from corekit_auth.errors import KeyNotFound, ValidationFailed
from corekit_auth.key_material import Material, make, read, secret
from corekit_auth.models import KeyState, SigningKeyRow
from corekit_auth.settings import AuthSettings
from corekit_auth.telling import tell

_MARGIN = timedelta(minutes=1)
_DAY = timedelta(days=1)
# Supabase lets access tokens live for a week at most; nobody knows what a key that came from elsewhere has signed.
_FOREIGN_LIFE = timedelta(days=7)


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key without its private half; `since` is when it came into its state."""

    kid: str
    alg: str
    state: KeyState
    since: datetime
    created_at: datetime


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did: `rotated` to `signing`, or else `next` waits until `due`."""

    rotated: bool
    signing: str
    next: str = ""
    due: datetime | None = None


class Imported(msgspec.Struct, frozen=True):
    """A key of a file, and whether it is new here."""

    kid: str
    alg: str
    state: KeyState
    new: bool


class KeyRing:
    """Moves keys on, in a context of the purpose `auth.keys`. Running processes follow within a second."""

    def __init__(self, settings: AuthSettings) -> None:
        self._lead = timedelta(seconds=settings.rotation_lead)
        self._life = timedelta(seconds=settings.access_ttl) + _MARGIN
        self._age = timedelta(seconds=settings.key_age)
        self._eternal = settings.legacy_service_jwt

    async def all(self, ctx: Context) -> Sequence[SigningKey]:
        """List the keys, oldest first."""
        return [_struct(row) for row in await self._rows(ctx)]

    async def generate(self, ctx: Context, alg: Literal["ES256", "RS256"] = "ES256") -> SigningKey:
        """Make the next key and publish it."""
        return _struct(await _add(ctx, make(alg), "next"))

    async def rotate(self, ctx: Context) -> Rotation:
        """Let the next key sign once everybody has had time to read it; where there is none, publish one."""
        rows = await self._rows(ctx)
        waiting = next((row for row in rows if row.state == "next"), None) or await _add(ctx, make("ES256"), "next")
        signing = next((row for row in rows if row.state == "signing"), None)
        due = waiting.updated_at + self._lead
        if signing is not None and ctx.now() < due:
            return Rotation(rotated=False, signing=signing.kid, next=waiting.kid, due=due)
        await self._promote(ctx, signing, waiting, "verifying")
        return Rotation(rotated=True, signing=waiting.kid)

    async def import_(self, ctx: Context, file: bytes, *, as_next: bool = False) -> Sequence[Imported]:
        """Take keys from a file: they verify what they have signed elsewhere, or (`as_next`) sign here next.

        Raises:
            ValidationFailed: the file, or a key of it, does not fit.

        """
        keys = read(file)
        if as_next and any(not key.private for key in keys):
            raise ValidationFailed("keys: only what has its private half can sign")
        known = {row.kid: row for row in await self._rows(ctx)}
        done = []
        for key in keys:
            there = known.get(key.kid)
            if there is not None and not _same(there, key):
                raise ValidationFailed(f"kid: {key.kid} is another key here")
            if there is None:
                known[key.kid] = await _add(ctx, key, "next" if as_next else "verifying")
            done.append(Imported(key.kid, key.alg, known[key.kid].state, there is None))
        return done

    async def retire(self, ctx: Context, kid: str) -> SigningKey:
        """Refuse all tokens of a key from now on; where it is the one that signs, another takes its place at once.

        Raises:
            KeyNotFound: there is none with this kid.

        """
        rows = await self._rows(ctx)
        row = next((row for row in rows if row.kid == kid), None)
        if row is None:
            raise KeyNotFound(f"there is no signing key {kid}")
        if row.state == "signing":
            waiting = next((one for one in rows if one.state == "next"), None)
            await self._promote(ctx, row, waiting or await _add(ctx, make("ES256"), "next"), "retired")
        elif row.state != "retired":
            _step(ctx, row, "retired")
        return _struct(row)

    async def tend(self, ctx: Context) -> None:
        """Do what is due: retire keys whose tokens have all ended, publish the next key, rotate."""
        rows = await self._rows(ctx)
        for row in rows:
            if row.state == "verifying" and ctx.now() - row.updated_at > self._verifies_for(row):
                _step(ctx, row, "retired")
        signing = next((row for row in rows if row.state == "signing"), None)
        if signing is None:
            return
        age = ctx.now() - signing.updated_at
        if age >= self._age:
            await self.rotate(ctx)
        elif age >= self._age - _DAY and not any(row.state == "next" for row in rows):
            await self.generate(ctx)

    def _verifies_for(self, row: SigningKeyRow) -> timedelta:
        if row.updated_at > row.created_at:  # it has signed here
            return self._life
        return timedelta.max if self._eternal and row.alg == "HS256" else max(self._life, _FOREIGN_LIFE)

    async def _promote(
        self, ctx: Context, old: SigningKeyRow | None, new: SigningKeyRow, then: Literal["verifying", "retired"]
    ) -> None:
        if old is not None:
            _step(ctx, old, then)
            await ctx.session.flush()  # exactly one signs: the old one makes room first
        _step(ctx, new, "signing")
        await ctx.session.flush()
        await tell(ctx, KeyRotated(kid=new.kid))

    async def _rows(self, ctx: Context) -> Sequence[SigningKeyRow]:
        """Read all keys; while this context may write, nobody else moves them on."""
        oldest = select(SigningKeyRow).order_by(SigningKeyRow.created_at, SigningKeyRow.id)
        return (await ctx.session.scalars(oldest if ctx.readonly else oldest.with_for_update())).all()


def _same(row: SigningKeyRow, key: Material) -> bool:
    """Tell whether they are one key; of a secret, nothing but the secret says so."""
    if row.public != key.public:
        return False
    return key.alg != "HS256" or hmac.compare_digest(secret(row.private), secret(key.private))


def _step(ctx: Context, row: SigningKeyRow, state: KeyState) -> None:
    row.state, row.updated_at = state, ctx.now()


async def _add(ctx: Context, key: Material, state: KeyState) -> SigningKeyRow:
    now = ctx.now()
    row = SigningKeyRow(
        id=uuid7(),
        kid=key.kid,
        alg=key.alg,
        state=state,
        private=key.private,
        public=key.public,
        created_at=now,
        updated_at=now,
    )
    ctx.session.add(row)
    await ctx.session.flush()
    return row


def _struct(row: SigningKeyRow) -> SigningKey:
    return SigningKey(kid=row.kid, alg=row.alg, state=row.state, since=row.updated_at, created_at=row.created_at)
