"""What administrators do in the stead of the mails: inviting somebody, and making a link to hand over themselves."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy.exc import IntegrityError

from corekit.context import Caller, Context
from corekit_auth.codes import Made
from corekit_auth.composing import LINK_TYPES
from corekit_auth.email_change import EmailChange
from corekit_auth.errors import EmailDisabled, EmailExists, NoSuchUser, ValidationFailed
from corekit_auth.mails import Mails
from corekit_auth.models import TokenKind, UserRow
from corekit_auth.objects import UserObject, user_object
from corekit_auth.parts import Parts
from corekit_auth.sending import Sending
from corekit_auth.users import normal_email

LinkType = Literal["signup", "invite", "magiclink", "recovery", "email_change_current", "email_change_new"]
_KINDS: Mapping[LinkType, TokenKind] = MappingProxyType(
    {
        "signup": "confirmation",
        "invite": "invite",
        "magiclink": "magiclink",
        "recovery": "recovery",
        "email_change_current": "email_change_current",
        "email_change_new": "email_change_new",
    }
)


class LinkDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Which link is wanted. `password` belongs to a sign-up, `new_email` to a change of address."""

    type: str
    email: str
    new_email: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None
    redirect_to: str | None = None


class LinkObject(UserObject, frozen=True, kw_only=True):
    """An account and a link that was made for it; whoever has the link, or the digits, has the account."""

    action_link: str
    email_otp: str
    hashed_token: str
    verification_type: LinkType
    redirect_to: str


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that was checked."""

    type: LinkType
    email: str
    new_email: str
    data: dict[str, Any]
    hashed: str | None


class Generating:
    """Invites, and makes links; callers are elevated for `auth.admin`."""

    def __init__(self, parts: Parts, mails: Mails) -> None:
        self._codes = parts.codes
        self._email_change = EmailChange(parts)
        self._hasher = parts.hasher
        self._mails = mails
        self._redirects = parts.redirects
        self._rules = parts.rules
        self._sending = Sending(parts)
        self._settings = parts.settings
        self._users = parts.users

    async def invite(
        self, caller: Caller, email: str, *, data: Mapping[str, Any] | None = None, redirect_to: str | None = None
    ) -> UserObject:
        """Make an account and send its owner a link; one that never was confirmed is invited once more.

        Raises:
            EmailExists: somebody uses that address already.
            EmailDisabled, OverEmailRate: no mail can go there now.

        """
        caller.demand_free("invite")
        self._demand_email()
        email = normal_email(email)
        known = self._users.checked_metadata(data or {})
        async with caller.begin(readonly=True) as ctx:  # what is refused sends no mail and must not count as one
            seen = await self._users.by_email(ctx, email)
        if seen is not None and _in_use(seen):
            raise EmailExists
        await self._sending.charge(caller, email)
        try:
            async with caller.begin() as ctx:
                user = await self._newcomer(ctx, email, known, None)
                user.invited_at = user.confirmation_sent_at = ctx.now()
                await self._sending.write(ctx, "invite", email, redirect_to=redirect_to, user_id=user.id)
                return await self._seen(ctx, user)
        except IntegrityError:  # somebody else was faster
            raise EmailExists from None

    async def link(self, caller: Caller, draft: LinkDraft) -> LinkObject:
        """Make a code and its link, and send nothing; an older code of the same account and type is void.

        Raises:
            NoSuchUser: nobody has the address, and this type makes no account.
            EmailExists: somebody uses the address that was to be new.
            ValidationFailed, WeakPassword, MetadataTooLarge: naming the field.
            EmailDisabled: nobody signs in by mail here.

        """
        caller.demand_free("generate_link")
        self._demand_email()
        wanted = await self._checked(draft)
        try:
            async with caller.begin() as ctx:
                user, kind, address = await self._prepared(ctx, wanted)
                made = await self._codes.make(ctx, user.id, kind, address)
                return self._written(await self._seen(ctx, user), wanted.type, made, draft.redirect_to)
        except IntegrityError:  # somebody else was faster
            raise EmailExists from None

    async def _checked(self, draft: LinkDraft) -> _Wanted:
        """Read a draft; what does not belong to its type is ignored, for clients send it as null."""
        type_ = _link_type(draft.type)
        email = normal_email(draft.email)
        data = self._users.checked_metadata(draft.data or {})
        new_email, hashed = "", None
        if type_ == "signup":
            if not draft.password:
                raise ValidationFailed("password: Signup requires a valid password")
            hashed = await self._hasher.hash(await self._rules.demand(draft.password, email, data))
        if type_ in {"email_change_current", "email_change_new"}:
            if not draft.new_email:
                raise ValidationFailed("new_email: a change of address needs the new one")
            new_email = _new_email(draft.new_email)
        if type_ == "email_change_current" and not self._settings.double_email_change:
            raise ValidationFailed("type: email_change_current only where double_email_change is on")
        return _Wanted(type=type_, email=email, new_email=new_email, data=data, hashed=hashed)

    async def _prepared(self, ctx: Context, wanted: _Wanted) -> tuple[UserRow, TokenKind, str]:
        """Bring the account into the state in which the mail would have found it."""
        now, email, kind = ctx.now(), wanted.email, _KINDS[wanted.type]
        if wanted.type in {"signup", "invite"}:
            user = await self._newcomer(ctx, email, wanted.data, wanted.hashed)
            user.confirmation_sent_at = now
            if wanted.type == "invite":
                user.invited_at = now
            return user, kind, email
        found = await self._person(ctx, email)
        if found is None and wanted.type == "magiclink":
            found, _ = await self._users.add(ctx, email, None, wanted.data, confirmed=False)
        if found is None:
            raise NoSuchUser
        if wanted.new_email:
            await self._email_change.arrange(ctx, found, wanted.new_email)
        else:
            found.recovery_sent_at = now
        return found, kind, wanted.new_email if wanted.type == "email_change_new" else email

    async def _newcomer(self, ctx: Context, email: str, data: dict[str, Any], hashed: str | None) -> UserRow:
        """Make an account, or take the one that nobody has confirmed: what was set there before counts no more."""
        user = await self._person(ctx, email)
        if user is None:
            user, _ = await self._users.add(ctx, email, hashed, data, confirmed=False)
            return user
        if _in_use(user):
            raise EmailExists
        await self._codes.void(ctx, user.id)
        user.password_hash, user.user_metadata, user.updated_at = hashed, data, ctx.now()
        return user

    async def _person(self, ctx: Context, email: str) -> UserRow | None:
        found = await self._users.by_email(ctx, email)
        return None if found is None else await self._users.locked(ctx, found.id)

    async def _seen(self, ctx: Context, user: UserRow) -> UserObject:
        await ctx.session.flush()
        return user_object(user, *await self._users.ways(ctx, user.id))

    def _written(self, user: UserObject, type_: LinkType, made: Made, redirect_to: str | None) -> LinkObject:
        where = self._redirects.allowed(redirect_to)
        return LinkObject(
            **msgspec.structs.asdict(user),
            action_link=self._mails.link(made.token_hash, LINK_TYPES[_KINDS[type_]], where, pkce=False),
            email_otp=made.token,
            hashed_token=made.token_hash,
            verification_type=type_,
            redirect_to=where,
        )

    def _demand_email(self) -> None:
        if not self._settings.email:
            raise EmailDisabled


def _in_use(user: UserRow) -> bool:
    return user.email_confirmed_at is not None or user.phone_confirmed_at is not None


def _link_type(text: str) -> LinkType:
    for known in get_args(LinkType):
        if text == known:
            found: LinkType = known
            return found
    raise ValidationFailed(f"type: must be one of {', '.join(get_args(LinkType))}")


def _new_email(text: str) -> str:
    try:
        return normal_email(text)
    except ValidationFailed as error:
        raise ValidationFailed(f"new_{error}") from None
