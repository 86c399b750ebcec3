"""Service keys: what another service shows instead of signing in. Only their HMACs are kept."""

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select, update

from corekit.context import Actor, Context, Kit, Proof
from corekit.contracts.auth import Denied
from corekit.values import uuid7
from corekit_auth.errors import KeyNotFound, ValidationFailed
from corekit_auth.lru import Recent
from corekit_auth.models import ServiceKeyRow
from corekit_auth.purposes import AUTHENTICATE, KEYS

PREFIX = "ck_svc_"
_FORM = re.compile(r"ck_svc_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME_MAX = 120
_SEEN = timedelta(seconds=60)  # how often a use is written down
_REMEMBERED = 10_000


class ServiceKey(msgspec.Struct, frozen=True, kw_only=True):
    """A service key without its secret."""

    id: UUID
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> str:
        """Say whether it is good: `live`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"


class Issued(msgspec.Struct, frozen=True):
    """A new key, and the text that is shown once."""

    key: ServiceKey
    text: str


class ServiceKeys:
    """Issues, lists and revokes them, and tells whose one is. Each use reads its row, so a revocation holds at once."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._used: dict[UUID, datetime] = {}
        self._written: Recent[datetime] = Recent(_REMEMBERED)

    async def issue(self, ctx: Context, *, role: str, name: str, life: timedelta | None) -> Issued:
        """Make a key; `life` None is without end.

        Raises:
            ValidationFailed: naming the field.

        """
        if not _ROLE.fullmatch(role):
            raise ValidationFailed("role: lower-case letters, digits and _, 63 at most")
        if not name.isprintable() or not 0 < len(name) <= _NAME_MAX:
            raise ValidationFailed(f"name: 1 to {_NAME_MAX} printable characters")
        if life is not None and life <= timedelta(0):
            raise ValidationFailed("days: more than 0")
        id_, secret, now = uuid7(), secrets.token_urlsafe(32), ctx.now()
        row = ServiceKeyRow(
            id=id_,
            mac=self._mac(id_, secret),
            role=role,
            name=name,
            expires_at=now + life if life is not None else None,
            created_at=now,
            updated_at=now,
        )
        ctx.session.add(row)
        await ctx.session.flush()
        return Issued(_struct(row), f"{PREFIX}{id_.hex}_{secret}")

    async def all(self, ctx: Context) -> Sequence[ServiceKey]:
        """List them, oldest first."""
        oldest = select(ServiceKeyRow).order_by(ServiceKeyRow.id)
        return [_struct(row) for row in await ctx.session.scalars(oldest)]

    async def revoke(self, ctx: Context, key_id: UUID) -> ServiceKey:
        """Refuse a key from now on; one that was revoked before stays as it is.

        Raises:
            KeyNotFound: there is none with this id.

        """
        row = await ctx.session.get(ServiceKeyRow, key_id)
        if row is None:
            raise KeyNotFound(f"there is no service key {key_id}")
        if row.revoked_at is None:
            row.revoked_at = row.updated_at = ctx.now()
        return _struct(row)

    async def authenticate(self, text: str) -> Actor | Denied:
        """Tell which service shows this key; unknown ids cost the same comparison as known ones."""
        found = _FORM.fullmatch(text)
        if found is None:
            return Denied("invalid")
        id_ = UUID(found[1])
        async with self._kit.caller().system(AUTHENTICATE).begin(readonly=True) as ctx:
            row = await ctx.session.get(ServiceKeyRow, id_)
            key = _struct(row) if row is not None else None
            stored = bytes(row.mac) if row is not None else bytes(32)
        if not hmac.compare_digest(self._mac(id_, found[2]), stored) or key is None:
            return Denied("invalid")
        now = self._kit.clock.now()
        if (state := key.state(now)) != "live":
            return Denied("revoked" if state == "revoked" else "expired")
        self._note(key, now)
        return Actor(key.id, "service", proof=Proof(expires_at=key.expires_at, role=key.role))

    async def write_down(self) -> None:
        """Write when keys were last used; those who ask may hold a context, so it is not written while they wait."""
        used, self._used = self._used, {}
        if not used:
            return
        async with self._kit.caller().system(KEYS).begin() as ctx:
            for key_id, seen in used.items():
                mine = update(ServiceKeyRow).where(ServiceKeyRow.id == key_id)
                await ctx.session.execute(mine.values(last_used_at=seen))

    def _note(self, key: ServiceKey, now: datetime) -> None:
        last = max(filter(None, (key.last_used_at, self._written.get(key.id.bytes))), default=None)
        if last is None or now - last >= _SEEN:
            self._written.put(key.id.bytes, now)
            self._used[key.id] = now

    def _mac(self, key_id: UUID, secret: str) -> bytes:
        return self._kit.keyring.mac("auth_service_keys", f"{key_id.hex}.{secret}")


def _struct(row: ServiceKeyRow) -> ServiceKey:
    return ServiceKey(
        id=row.id,
        name=row.name,
        role=row.role,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
