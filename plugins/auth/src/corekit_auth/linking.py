"""Which account somebody has who comes from a provider: by the identity, or by an address that both sides verified."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.auth import IdentityLinked, IdentityUnlinked, UserDraft
from corekit.values import uuid7
from corekit_auth.errors import (
    BannedAtSignIn,
    EmailExists,
    IdentityAlreadyExists,
    IdentityNotFound,
    MetadataTooLarge,
    SignupDisabled,
    SingleIdentity,
    UnverifiedAtProvider,
    UserNotFound,
)
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.parts import Parts
from corekit_auth.people_elsewhere import Person
from corekit_auth.sessions import Account
from corekit_auth.telling import tell


class Linking:
    """An identity is (provider, subject): an address alone proves nothing that its provider has not verified."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._users = parts.users

    async def admit(self, ctx: Context, person: Person) -> UserRow:
        """Return the account of who came, locked; a new one where there is none.

        Raises:
            EmailExists: an account has this address, and one of both sides has not verified it.
            UnverifiedAtProvider: the provider has not verified the address.
            SignupDisabled: nobody new is taken.
            BannedAtSignIn, UserNotFound: the account may not sign in.

        """
        identity = await self._identity(ctx, person)
        if identity is not None:
            user = await self._users.locked(ctx, identity.user_id)
            if user is None:
                raise UserNotFound
            self._seen(ctx, identity, person)
        else:
            user = await self._by_address(ctx, person) or await self._create(ctx, person)
        if user.banned_until is not None and user.banned_until > ctx.now():
            raise BannedAtSignIn
        return user

    async def link(self, ctx: Context, user_id: UUID, person: Person) -> UserRow:
        """Add an identity to an account whose owner asked for it; its address is taken over where there is none.

        Raises:
            IdentityAlreadyExists: it is this account's, or another's.
            UserNotFound: the account is gone.

        """
        user = await self._users.locked(ctx, user_id)
        if user is None:
            raise UserNotFound
        identity = await self._identity(ctx, person)
        if identity is not None:
            other = "" if identity.user_id == user_id else f"{IdentityAlreadyExists.title} to another user"
            raise IdentityAlreadyExists(other)
        if user.email is None and person.email is not None and person.email_verified:
            if await self._users.by_email(ctx, person.email) is not None:
                raise EmailExists
            user.email, user.email_confirmed_at, user.is_anonymous = person.email, ctx.now(), False
        await self._add(ctx, user, person)
        return user

    async def unlink(self, ctx: Context, account: Account, identity_id: UUID) -> None:
        """Remove a way in which somebody is known, but never the last; with `email` goes the password.

        Raises:
            SingleIdentity: there is no other.
            IdentityNotFound: it is none of theirs.

        """
        user = await self._users.locked(ctx, account.user.id)  # or two requests remove the last two
        identities = await self._users.identities(ctx, account.user.id)
        if user is None or len(identities) <= 1:
            raise SingleIdentity
        gone = next((one for one in identities if one.id == identity_id), None)
        if gone is None:
            raise IdentityNotFound
        await ctx.session.delete(gone)
        if gone.provider == "email":
            user.password_hash = None
        self._name_providers(user, [one.provider for one in identities if one is not gone])
        user.updated_at = ctx.now()
        await tell(ctx, IdentityUnlinked(user_id=user.id, provider=gone.provider))

    async def _identity(self, ctx: Context, person: Person) -> IdentityRow | None:
        mine = select(IdentityRow).where(
            IdentityRow.provider == person.provider, IdentityRow.provider_id == person.subject
        )
        found: IdentityRow | None = await ctx.session.scalar(mine)
        return found

    def _seen(self, ctx: Context, identity: IdentityRow, person: Person) -> None:
        """Keep what the provider says now; a name that it told once, as Apple does, stays."""
        identity.identity_data = identity.identity_data | person.data
        identity.email = person.email or identity.email
        identity.last_sign_in_at = identity.updated_at = ctx.now()

    async def _by_address(self, ctx: Context, person: Person) -> UserRow | None:
        """Find the account to which a verified address belongs, and link it."""
        if person.email is None:
            return None
        found = await self._users.by_email(ctx, person.email)
        user = await self._users.locked(ctx, found.id) if found is not None else None
        if user is None:
            if not person.email_verified:
                raise UnverifiedAtProvider
            return None
        if not person.email_verified or user.email_confirmed_at is None or user.email != person.email:
            raise EmailExists
        await self._add(ctx, user, person)
        return user

    async def _create(self, ctx: Context, person: Person) -> UserRow:
        if self._settings.disable_signup:
            raise SignupDisabled
        draft = UserDraft(
            id=uuid7(),
            email=person.email or "",
            provider=person.provider,
            role=self._settings.role,
            app_metadata={"provider": person.provider, "providers": [person.provider]},
            user_metadata=self._metadata(person),
        )
        draft, now = await self._users.asked(ctx, draft), ctx.now()
        user = UserRow(
            id=draft.id,
            aud=self._settings.aud,
            role=draft.role,
            email=person.email,
            email_confirmed_at=now if person.email else None,
            app_metadata=draft.app_metadata,
            user_metadata=draft.user_metadata,
            is_anonymous=False,
            created_at=now,
            updated_at=now,
        )
        await self._users.insert(ctx, user, _identity_row(user.id, person, now))
        await tell(ctx, IdentityLinked(user_id=user.id, provider=person.provider))
        return user

    async def _add(self, ctx: Context, user: UserRow, person: Person) -> None:
        now = ctx.now()
        before = await self._users.identities(ctx, user.id)
        ctx.session.add(_identity_row(user.id, person, now))
        self._name_providers(user, [*(one.provider for one in before), person.provider])
        user.updated_at = now
        await ctx.session.flush()  # of two who link the same one, the second fails here
        await tell(ctx, IdentityLinked(user_id=user.id, provider=person.provider))

    def _name_providers(self, user: UserRow, providers: list[str]) -> None:
        """Say in the account how it is known; `provider` is the first, while that is there."""
        named = list(dict.fromkeys(providers))
        first = user.app_metadata.get("provider")
        user.app_metadata = user.app_metadata | {
            "provider": first if first in named else named[0],
            "providers": named,
        }

    def _metadata(self, person: Person) -> dict[str, Any]:
        """Give the new account what the provider tells of its person, as far as it fits into every access token."""
        try:
            return self._users.checked_metadata(person.data)
        except MetadataTooLarge:
            return {}


def _identity_row(user_id: UUID, person: Person, now: datetime) -> IdentityRow:
    return IdentityRow(
        id=uuid7(),
        user_id=user_id,
        provider=person.provider,
        provider_id=person.subject,
        identity_data=person.data,
        email=person.email,
        last_sign_in_at=now,
        created_at=now,
        updated_at=now,
    )
