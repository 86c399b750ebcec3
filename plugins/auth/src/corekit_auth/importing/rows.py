"""From rows of Supabase's schema to ours; what cannot be taken says why."""

import os
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from corekit.errors import Invalid
from corekit.values import uuid7
from corekit_auth.importing.dump import Row
from corekit_auth.importing.secrets import ForeignKey
from corekit_auth.legacy_refresh import is_legacy
from corekit_auth.models import FactorRow, IdentityRow, PasskeyRow, SessionRow, UserRow

_HASHES = ("$2a$", "$2b$", "$2y$", "$argon2", "$fbscrypt$")
_ALIVE_KEY = 32


class Skip(Exception):
    """A row that is not taken, and why."""


class LegacyToken(msgspec.Struct, frozen=True):
    """A refresh token of version 1; those of a session are numbered as they were made."""

    session_id: UUID
    number: int
    text: str
    revoked: bool


def user(row: Row, index: Callable[[str], bytes]) -> UserRow:
    """Read a row of `auth.users`; `index` makes the blind index of a number."""
    hashed = row.get("encrypted_password") or None
    if hashed is not None and not hashed.startswith(_HASHES):
        raise Skip("encrypted_password: neither bcrypt, argon2 nor fbscrypt")
    phone = _digits(row.get("phone"))
    now = datetime.now(UTC)
    made = _time(row.get("created_at")) or now
    return UserRow(
        id=_id(row, "id"),
        aud=row.get("aud") or "authenticated",
        role=row.get("role") or "authenticated",
        email=(row.get("email") or "").strip().lower() or None,
        phone=phone,
        phone_index=index(phone) if phone else None,
        password_hash=hashed,
        email_confirmed_at=_time(row.get("email_confirmed_at")),
        phone_confirmed_at=_time(row.get("phone_confirmed_at")),
        invited_at=_time(row.get("invited_at")),
        confirmation_sent_at=_time(row.get("confirmation_sent_at")),
        recovery_sent_at=_time(row.get("recovery_sent_at")),
        email_change_status=0,
        app_metadata=_json(row.get("raw_app_meta_data")),
        user_metadata=_json(row.get("raw_user_meta_data")),
        is_anonymous=_flag(row.get("is_anonymous")),
        is_sso=_flag(row.get("is_sso_user")),
        banned_until=_time(row.get("banned_until")),
        deleted_at=_time(row.get("deleted_at")),
        last_sign_in_at=_time(row.get("last_sign_in_at")),
        created_at=made,
        updated_at=_time(row.get("updated_at")) or made,
    )


def identity(row: Row) -> IdentityRow:
    """Read a row of `auth.identities`; in old dumps `id` is the provider's name for the person."""
    provider, provider_id = row.get("provider") or "email", row.get("provider_id") or row.get("id") or ""
    data = _json(row.get("identity_data"))
    if provider in {"email", "phone"}:
        provider_id = str(_id(row, "user_id"))  # some dumps have the number here, which is in clear nowhere
        data["sub"] = provider_id
    if provider == "phone":
        data.pop("phone", None)  # it is sealed in its own column
    made = _time(row.get("created_at")) or datetime.now(UTC)
    try:
        own = UUID(row.get("id") or "") if row.get("provider_id") else uuid7()
    except ValueError:
        own = uuid7()
    return IdentityRow(
        id=own,
        user_id=_id(row, "user_id"),
        provider=provider,
        provider_id=provider_id,
        identity_data=data,
        email=str(data.get("email") or "").lower() or None,
        last_sign_in_at=_time(row.get("last_sign_in_at")),
        created_at=made,
        updated_at=_time(row.get("updated_at")) or made,
    )


def factor(row: Row, key: ForeignKey) -> FactorRow:
    """Read a row of `auth.mfa_factors`: TOTP and phone; a webauthn factor is enrolled anew."""
    kind = row.get("factor_type")
    if kind not in {"totp", "phone"}:
        raise Skip(f"factor_type {kind!r}: enrol it anew")
    factor_id, secret = _id(row, "id"), row.get("secret")
    if kind == "totp" and not secret:
        raise Skip("secret: a TOTP factor without one")
    try:
        opened = key.open(secret, str(factor_id)) if secret else None
    except Invalid as error:
        raise Skip(f"secret: {error}") from None
    made = _time(row.get("created_at")) or datetime.now(UTC)
    return FactorRow(
        id=factor_id,
        user_id=_id(row, "user_id"),
        type="totp" if kind == "totp" else "phone",
        status="verified" if row.get("status") == "verified" else "unverified",
        friendly_name=row.get("friendly_name"),
        secret=opened,
        phone=_digits(row.get("phone")),
        failures=0,
        last_challenged_at=_time(row.get("last_challenged_at")),
        created_at=made,
        updated_at=_time(row.get("updated_at")) or made,
    )


def session(row: Row, amr: list[dict[str, Any]], key: ForeignKey, legacy_mac: bytes | None) -> SessionRow:
    """Read a row of `auth.sessions`: its refresh tokens have version 2, or `legacy_mac` is that of its last one."""
    session_id, sealed = _id(row, "id"), row.get("refresh_token_hmac_key")
    if not sealed and legacy_mac is None:
        raise Skip("refresh_token_hmac_key: version 1; take it with --legacy-refresh, or its owner signs in anew")
    made = _time(row.get("created_at")) or datetime.now(UTC)
    factor_id = row.get("factor_id")
    return SessionRow(
        id=session_id,
        user_id=_id(row, "user_id"),
        hmac_key=_session_key(sealed, session_id, key) if sealed else os.urandom(_ALIVE_KEY),
        counter=int(row.get("refresh_token_counter") or 0) if sealed else 0,
        counter_floor=0,
        legacy_mac=None if sealed else legacy_mac,
        aal=2 if row.get("aal") == "aal2" else 1,
        amr=amr or [{"method": "password", "timestamp": int(made.timestamp())}],
        factor_id=UUID(factor_id) if factor_id else None,
        not_after=_time(row.get("not_after")),
        refreshed_at=_time(row.get("refreshed_at")),
        user_agent=(row.get("user_agent") or "")[:512] or None,
        ip=row.get("ip"),
        tag=row.get("tag"),
        scopes=row.get("scopes"),
        created_at=made,
        updated_at=_time(row.get("updated_at")) or made,
    )


def _session_key(sealed: str, session_id: UUID, key: ForeignKey) -> bytes:
    try:
        raw = urlsafe_b64decode(_padded(key.open(sealed, str(session_id))))
    except (Invalid, ValueError) as error:
        raise Skip(f"refresh_token_hmac_key: {error}") from None
    if len(raw) != _ALIVE_KEY:
        raise Skip("refresh_token_hmac_key: not 32 bytes")
    return raw


def refresh_token(row: Row) -> LegacyToken:
    """Read a row of `auth.refresh_tokens`: one of version 1, of a session."""
    text = row.get("token") or ""
    if not is_legacy(text):
        raise Skip("token: not 12 to 32 letters, digits, - and _")
    if not row.get("session_id"):
        raise Skip("session_id: it is older than sessions; its owner signs in anew")
    return LegacyToken(_id(row, "session_id"), int(row.get("id") or 0), text, revoked=_flag(row.get("revoked")))


def passkey(row: Row) -> PasskeyRow:
    """Read a row of `auth.webauthn_credentials`; it works on under the same `rp_id`."""
    made = _time(row.get("created_at")) or datetime.now(UTC)
    return PasskeyRow(
        id=_id(row, "id"),
        user_id=_id(row, "user_id"),
        credential_id=_bytes(row, "credential_id"),
        public_key=_bytes(row, "public_key"),
        sign_count=int(row.get("sign_count") or 0),
        aaguid=row.get("aaguid") or str(UUID(int=0)),
        transports=_list(row.get("transports")),
        backup_eligible=_flag(row.get("backup_eligible")),
        backed_up=_flag(row.get("backed_up")),
        friendly_name=row.get("friendly_name"),
        last_used_at=_time(row.get("last_used_at")),
        created_at=made,
        updated_at=_time(row.get("updated_at")) or made,
    )


def claim(row: Row) -> tuple[UUID, dict[str, Any]]:
    """Read a row of `auth.mfa_amr_claims`: one step of a session's sign-in."""
    made = _time(row.get("updated_at")) or _time(row.get("created_at")) or datetime.now(UTC)
    method = row.get("authentication_method") or "password"
    return _id(row, "session_id"), {"method": method, "timestamp": int(made.timestamp())}


def _digits(number: str | None) -> str | None:
    return "".join(filter(str.isdecimal, number or "")) or None


def _id(row: Row, name: str) -> UUID:
    try:
        return UUID(row.get(name) or "")
    except ValueError:
        raise Skip(f"{name}: not a UUID") from None


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Skip(f"a time cannot be read: {text[:40]!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text) if text else {}
    except msgspec.MsgspecError:
        raise Skip("metadata is not JSON") from None
    return found if isinstance(found, dict) else {}


def _list(text: str | None) -> list[Any]:
    try:
        found = msgspec.json.decode(text) if text else []
    except msgspec.MsgspecError:
        return []
    return found if isinstance(found, list) else []


def _flag(text: str | None) -> bool:
    return (text or "").lower() in {"t", "true"}


def _bytes(row: Row, name: str) -> bytes:
    text = row.get(name) or ""
    try:
        return bytes.fromhex(text[2:]) if text.startswith("\\x") else b64decode(_padded(text))
    except ValueError:
        raise Skip(f"{name}: neither hexadecimal nor base64") from None


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
