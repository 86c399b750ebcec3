"""Flows: sign-ins that take several requests, each held together by a secret that is stored as its HMAC alone."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update

from corekit.context import Context
from corekit.values import uuid7
from corekit_auth.errors import BadCodeVerifier, FlowStateExpired, FlowStateNotFound
from corekit_auth.models import FlowStateRow
from corekit_auth.settings import AuthSettings

_SECRET = 32
_CODE = "auth_code"  # no kind of flow


class Pkce(msgspec.Struct, frozen=True):
    """What proves later that the same client asks: the challenge of a verifier (RFC 7636 §4.2)."""

    challenge: str
    method: Literal["s256", "plain"] = "s256"

    def fits(self, verifier: str) -> bool:
        """Tell whether the challenge was made of this verifier."""
        made = verifier
        if self.method == "s256":
            digest = hashlib.sha256(verifier.encode()).digest()
            made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return hmac.compare_digest(made.encode(), self.challenge.encode())


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One flow, as its noun left it; `payload` is sealed in the database."""

    id: UUID
    kind: str
    provider: str | None = None
    pkce: Pkce | None = None
    redirect_to: str | None = None
    user_id: UUID | None = None
    payload: Mapping[str, Any] = {}
    used: bool = False
    expires_at: datetime


class Flows:
    """Begins flows, spends their state once, issues auth codes and exchanges each once."""

    def __init__(self, settings: AuthSettings) -> None:
        self._ttl = settings.flow_ttl

    async def create(
        self,
        ctx: Context,
        kind: str,
        *,
        payload: Mapping[str, Any] | None = None,
        provider: str | None = None,
        pkce: Pkce | None = None,
        redirect_to: str | None = None,
        user_id: UUID | None = None,
        ttl: float | None = None,
    ) -> tuple[UUID, str]:
        """Begin a flow of `ttl` seconds (`flow_ttl`); return its id and its state, a secret that comes back once."""
        state, now = secrets.token_urlsafe(_SECRET), ctx.now()
        row = FlowStateRow(
            id=uuid7(),
            kind=kind,
            provider=provider,
            code_challenge=pkce.challenge if pkce else None,
            code_challenge_method=pkce.method if pkce else None,
            state_mac=_mac(ctx, kind, state),
            redirect_to=redirect_to,
            user_id=user_id,
            payload=_written(payload or {}),
            expires_at=now + timedelta(seconds=self._ttl if ttl is None else ttl),
            created_at=now,
            updated_at=now,
        )
        ctx.session.add(row)
        return row.id, state

    async def find(self, ctx: Context, flow_id: UUID) -> Flow | None:
        """Read a flow that has not run out."""
        row = await _row(ctx, flow_id)
        return _read(row) if row is not None and row.expires_at > ctx.now() else None

    async def bind(
        self,
        ctx: Context,
        flow_id: UUID,
        *,
        state: str,
        user_id: UUID,
        payload: Mapping[str, Any],
        ttl: float,
    ) -> None:
        """Give a flow another state, such as what a link carries, and so many seconds; an older flow with it goes.

        Raises:
            FlowStateNotFound: the flow is gone.

        """
        row = await _row(ctx, flow_id)
        if row is None:
            raise FlowStateNotFound
        state_mac = _mac(ctx, row.kind, state)
        older = delete(FlowStateRow).where(FlowStateRow.state_mac == state_mac, FlowStateRow.id != flow_id)
        await ctx.session.execute(older)
        row.state_mac, row.user_id, row.payload = state_mac, user_id, _written(payload)
        row.expires_at, row.updated_at = ctx.now() + timedelta(seconds=ttl), ctx.now()
        await ctx.session.flush()

    async def spend(self, ctx: Context, kind: str, state: str) -> Flow | None:
        """Take a state: of parallel uses one gets the flow; None: unknown, of another kind, used or too old."""
        now = ctx.now()
        mine = (
            update(FlowStateRow)
            .where(
                FlowStateRow.state_mac == _mac(ctx, kind, state),
                FlowStateRow.used_at.is_(None),
                FlowStateRow.expires_at > now,
            )
            .values(used_at=now, updated_at=now)
            .returning(FlowStateRow.id)
            .execution_options(synchronize_session=False)
        )
        flow_id = await ctx.session.scalar(mine)
        row = None if flow_id is None else await _row(ctx, flow_id)
        return None if row is None else _read(row)

    async def issue(
        self, ctx: Context, flow_id: UUID, user_id: UUID, *, payload: Mapping[str, Any] | None = None
    ) -> str:
        """Issue the auth code of a flow whose person is known now; it is good for `flow_ttl` seconds from here.

        Raises:
            FlowStateNotFound: the flow is gone.

        """
        row = await _row(ctx, flow_id)
        if row is None:
            raise FlowStateNotFound
        code, now = secrets.token_urlsafe(_SECRET), ctx.now()
        row.auth_code_mac, row.user_id = _mac(ctx, _CODE, code), user_id
        row.expires_at, row.used_at, row.updated_at = now + timedelta(seconds=self._ttl), now, now
        if payload is not None:
            row.payload = _written(payload)
        await ctx.session.flush()
        return code

    async def exchange(self, ctx: Context, auth_code: str, verifier: str) -> Flow:
        """Take an auth code from the client that began the flow; of parallel uses one gets it, and the row goes.

        Raises:
            FlowStateNotFound: unknown, or exchanged before.
            FlowStateExpired: too late.
            BadCodeVerifier: another client's verifier.

        """
        mine = FlowStateRow.auth_code_mac == _mac(ctx, _CODE, auth_code)
        row: FlowStateRow | None = await ctx.session.scalar(select(FlowStateRow).where(mine))
        if row is None:
            raise FlowStateNotFound
        flow = _read(row)
        if row.expires_at <= ctx.now():
            raise FlowStateExpired
        if flow.pkce is None or not flow.pkce.fits(verifier):
            raise BadCodeVerifier
        taken = delete(FlowStateRow).where(FlowStateRow.id == flow.id, mine).returning(FlowStateRow.id)
        if await ctx.session.scalar(taken.execution_options(synchronize_session=False)) is None:
            raise FlowStateNotFound
        return flow

    async def drop(self, ctx: Context, flow_id: UUID) -> None:
        """Forget a flow that has done its work."""
        await ctx.session.execute(delete(FlowStateRow).where(FlowStateRow.id == flow_id))


async def _row(ctx: Context, flow_id: UUID) -> FlowStateRow | None:
    mine = select(FlowStateRow).where(FlowStateRow.id == flow_id).execution_options(populate_existing=True)
    found: FlowStateRow | None = await ctx.session.scalar(mine)
    return found


def _read(row: FlowStateRow) -> Flow:
    method: Literal["s256", "plain"] = "plain" if row.code_challenge_method == "plain" else "s256"
    return Flow(
        id=row.id,
        kind=row.kind,
        provider=row.provider,
        pkce=Pkce(row.code_challenge, method) if row.code_challenge else None,
        redirect_to=row.redirect_to,
        user_id=row.user_id,
        payload=msgspec.json.decode(row.payload) if row.payload else {},
        used=row.used_at is not None,
        expires_at=row.expires_at,
    )


def _written(payload: Mapping[str, Any]) -> str:
    return msgspec.json.encode(payload).decode()


def _mac(ctx: Context, kind: str, secret: str) -> bytes:
    """Bind a secret to what it is for: a state of one kind never finds a flow of another."""
    return ctx.kit.keyring.mac(f"auth.flow.{kind}", secret)
