"""Where others change or refuse what auth does, and what they see."""

from typing import Any
from uuid import UUID

import msgspec

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth.objects import Denied, User
from corekit.hooks import hookspec


class UserDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is about to be made; `provider` is how: email, phone, anonymous, or a provider's name."""

    id: UUID
    email: str = ""
    phone: str = ""
    provider: str = "email"
    role: str
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A password or second factor that was checked; `factor_id` and `factor_type` are empty for a password."""

    user_id: UUID
    valid: bool
    factor_id: UUID | None = None
    factor_type: str = ""


class Reject(msgspec.Struct, frozen=True):
    """A hook's no to an attempt, with what the person reads."""

    message: str
    end_sessions: bool = False


class OutgoingMail(msgspec.Struct, frozen=True, kw_only=True):
    """A code that is to be mailed. `token` is what the person types, `token_hash` what the link carries.

    `email_action_type` is signup, invite, magiclink, recovery, email_change or reauthentication; of an address that
    changes, `token_new` and `token_hash_new` go to the new one.
    """

    user: User
    to: str
    token: str
    token_hash: str
    redirect_to: str
    email_action_type: str
    site_url: str
    token_new: str = ""
    token_hash_new: str = ""
    old_email: str = ""
    old_phone: str = ""
    provider: str = ""
    factor_type: str = ""
    locale: str = "en"


class OutgoingSms(msgspec.Struct, frozen=True, kw_only=True):
    """A code that is to be sent to a phone; `sms_type` is sms, phone_change, reauthentication or mfa."""

    user: User
    phone: str
    otp: str
    sms_type: str
    locale: str = "en"


@hookspec
async def authenticate(token: str, caller: Caller) -> Actor | Denied | None:
    """Turn a bearer token into an actor. None = not mine; Denied = mine and refused. Only the first answer counts."""


@hookspec
async def before_user_created(draft: UserDraft, ctx: Context) -> UserDraft | None:
    """Change an account before it is made, or refuse it by raising a Problem. All answers count, in their order."""


@hookspec
async def after_user_created(user: User, ctx: Context) -> None:
    """Write beside a new account, in its transaction; raising undoes the account."""


@hookspec
async def send_email(mail: OutgoingMail, caller: Caller) -> object | None:
    """Send a code by mail in place of the server; anything but None means that it is done. No context is open."""


@hookspec
async def send_sms(sms: OutgoingSms, caller: Caller) -> object | None:
    """Send a code to a phone in place of the server; anything but None means that it is done. No context is open."""


@hookspec
async def password_verification_attempt(attempt: Attempt, ctx: Context) -> Reject | None:
    """See each password of a known account that was checked, right or wrong, and refuse it. The first answer counts."""


@hookspec
async def custom_access_token(claims: dict[str, Any], ctx: Context) -> dict[str, Any] | None:
    """Add claims to an access token before it is signed; those of the protocol stay as they are.

    At a refresh `ctx` is read-only: the refresh is committed before it.
    """


@hookspec
async def mfa_verification_attempt(attempt: Attempt, ctx: Context) -> Reject | None:
    """See each second factor that was checked, right or wrong, and refuse it. Only the first answer counts."""
