"""Who somebody is at a provider, read from what it says of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from corekit_auth.errors import BadOauthCallback, ValidationFailed
from corekit_auth.providers import Provider
from corekit_auth.users import normal_email

_TEXT_MAX = 512
_SUBJECT_MAX = 255
_COPIED = ("name", "user_name", "preferred_username", "picture")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """An account elsewhere: `subject` never changes and is never used again there; an address may."""

    provider: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    data: dict[str, Any] = {}


def person(name: str, provider: Provider, said: Mapping[str, Any], *, issuer: str = "") -> Person:
    """Read the claims of an id_token, or what a provider answers when it is asked who somebody is.

    Raises:
        BadOauthCallback: they name nobody.

    """
    claims = {"sub": "sub", "email": "email", "email_verified": "email_verified", **provider.claims}
    subject = said.get(claims["sub"])
    if isinstance(subject, bool) or not isinstance(subject, str | int) or not 0 < len(str(subject)) <= _SUBJECT_MAX:
        raise BadOauthCallback("The provider does not say who signed in")
    email = _email(said.get(claims["email"]))
    verified = email is not None and said.get(claims["email_verified"]) in (True, "true")  # Apple writes a text
    data: dict[str, Any] = {"iss": issuer} if issuer else {}
    data |= {"sub": str(subject), "provider_id": str(subject)}
    data |= {"email": email} if email else {}
    data |= {"email_verified": verified, "phone_verified": False}
    for key in _COPIED:
        if text := _text(said.get(claims.get(key, key))):
            data[key] = text
    data |= {"full_name": data["name"]} if "name" in data else {}
    data |= {"avatar_url": data["picture"]} if "picture" in data else {}
    return Person(provider=name, subject=str(subject), email=email, email_verified=verified, data=data)


def primary_email(listed: Any) -> str | None:
    """Pick the address that a provider lists as primary and verified, if there is one."""
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("primary") is True and one.get("verified") is True:
            return _email(one.get("email"))
    return None


def with_name(known: Person, user: Any) -> Person:
    """Add the name that came through the browser, as Apple sends it once; nothing else of it is believed."""
    try:
        said = msgspec.json.decode(user) if isinstance(user, str) else None
    except (msgspec.MsgspecError, RecursionError):
        return known
    parts = said.get("name") if isinstance(said, dict) else None
    if not isinstance(parts, dict) or "name" in known.data:
        return known
    name = " ".join(text for key in ("firstName", "lastName") if (text := _text(parts.get(key))))[:_TEXT_MAX]
    return msgspec.structs.replace(known, data={**known.data, "name": name, "full_name": name}) if name else known


def _email(value: Any) -> str | None:
    try:
        return normal_email(value) if isinstance(value, str) else None
    except ValidationFailed:
        return None


def _text(value: Any) -> str:
    return value.replace("\0", "").strip()[:_TEXT_MAX] if isinstance(value, str) else ""
