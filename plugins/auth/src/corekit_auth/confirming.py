"""What a code that was right does to its account, and the session that follows."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, get_args

from corekit.context import Context
from corekit_auth import edits
from corekit_auth.codes import Used
from corekit_auth.email_change import EmailChange
from corekit_auth.errors import Banned, OtpExpired, ValidationFailed
from corekit_auth.models import IdentityRow, TokenKind, UserRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.phone_change import PhoneChange

VerifyType = Literal["signup", "invite", "magiclink", "recovery", "email", "email_change", "sms", "phone_change"]
_KINDS: Mapping[VerifyType, Sequence[TokenKind]] = MappingProxyType(
    {
        "signup": ("confirmation",),
        "invite": ("invite",),
        "magiclink": ("magiclink",),
        "recovery": ("recovery",),
        "email": ("confirmation", "magiclink"),
        "email_change": ("email_change_current", "email_change_new"),
        "sms": ("sms", "confirmation"),
        "phone_change": ("phone_change",),
    }
)
_METHODS: Mapping[TokenKind, str] = MappingProxyType(
    {
        "confirmation": "email/signup",
        "invite": "invite",
        "recovery": "recovery",
        "email_change_current": "email_change",
        "email_change_new": "email_change",
    }
)


def kinds_of(type_: str) -> Sequence[TokenKind]:
    """Name the codes that a type of verification takes.

    Raises:
        ValidationFailed: there is no such type.

    """
    for known in get_args(VerifyType):
        if type_ == known:
            return _KINDS[known]
    raise ValidationFailed(f"type: must be one of {', '.join(get_args(VerifyType))}")


def method_of(used: Used, *, by_link: bool) -> str:
    """Name what was proved, as `amr` has it."""
    if used.phone:
        return "otp"
    return _METHODS.get(used.kind, "magiclink" if by_link and used.kind == "magiclink" else "otp")


class Confirming:
    """Confirms addresses and begins sessions."""

    def __init__(self, parts: Parts) -> None:
        self._email_change = EmailChange(parts)
        self._phone_change = PhoneChange(parts)
        self._sessions = parts.sessions
        self._tokens = parts.tokens
        self._users = parts.users

    async def confirm(self, ctx: Context, used: Used) -> tuple[UserRow, list[IdentityRow]] | None:
        """Do what the code was for; None where a second confirmation is still to come.

        Raises:
            OtpExpired: the account is gone.
            Banned: it may not do anything now.
            EmailExists: somebody else has taken the new address meanwhile.

        """
        user = await self._users.locked(ctx, used.user_id)
        if user is None:
            raise OtpExpired
        if user.banned_until is not None and user.banned_until > ctx.now():
            raise Banned
        identities = await self._users.identities(ctx, user.id)
        if used.kind in {"email_change_current", "email_change_new"}:
            return (user, identities) if await self._email_change.confirmed(ctx, user, identities, used.kind) else None
        if used.kind == "phone_change":
            await self._phone_change.confirmed(ctx, user, identities)
        elif (user.phone_confirmed_at if used.phone else user.email_confirmed_at) is None:
            await self._first(ctx, user, identities, used)
        return user, identities

    async def begin(
        self, ctx: Context, user: UserRow, identities: list[IdentityRow], method: str, provider: str | None = None
    ) -> Grant:
        """Begin the session that a code leads to."""
        session, key = await self._sessions.begin(ctx, user, method, provider=provider)
        await ctx.session.flush()
        factors = await self._users.factors(ctx, user.id)
        return await self._tokens.grant(ctx, user, identities, session, key, factors=factors)

    async def _first(self, ctx: Context, user: UserRow, identities: list[IdentityRow], used: Used) -> None:
        first = user.email_confirmed_at is None and user.phone_confirmed_at is None
        if used.kind != "confirmation" and (first or not used.phone):
            # Whoever set this password never showed that the address is theirs: it must not open the owner's account.
            user.password_hash = None
        user.updated_at = ctx.now()
        await edits.confirm(ctx, user, identities, email=not used.phone, phone=used.phone)
