"""Changes of one account that was read for changing, as administrators and conversions make them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete

from corekit.context import Context
from corekit.contracts.auth import EmailChanged, PhoneChanged, UserConfirmed
from corekit.values import uuid7
from corekit_auth.models import IdentityRow, OneTimeTokenRow, UserRow
from corekit_auth.telling import tell


async def set_email(ctx: Context, user: UserRow, identities: list[IdentityRow], email: str) -> None:
    """Give an account another address; codes that went to the old one are void."""
    if email == user.email:
        return
    had, user.email = user.email, email
    user.new_email, user.email_change_sent_at, user.email_change_status = None, None, 0
    await forget_codes(ctx, user.id)
    data = {"sub": str(user.id), "email": email}
    ensure_identity(ctx, user, identities, "email", data).email = email
    if had is not None:
        await tell(ctx, EmailChanged(user_id=user.id))


async def set_phone(ctx: Context, user: UserRow, identities: list[IdentityRow], phone: str) -> None:
    """Give an account another number."""
    if phone == user.phone:
        return
    had, user.phone, user.phone_index = user.phone, phone, ctx.kit.keyring.index("phone", phone)
    user.new_phone, user.phone_change_sent_at = None, None
    await forget_codes(ctx, user.id)
    ensure_identity(ctx, user, identities, "phone", {"sub": str(user.id)})  # the number is sealed in its column
    if had is not None:
        await tell(ctx, PhoneChanged(user_id=user.id))


async def confirm(ctx: Context, user: UserRow, identities: Iterable[IdentityRow], *, email: bool, phone: bool) -> None:
    """Count addresses as confirmed; whoever has a confirmed one is not anonymous any more."""
    first = user.email_confirmed_at is None and user.phone_confirmed_at is None
    if email := email and user.email is not None:
        user.email_confirmed_at = user.email_confirmed_at or ctx.now()
    if phone := phone and user.phone is not None:
        user.phone_confirmed_at = user.phone_confirmed_at or ctx.now()
    if not (email or phone):
        return
    user.is_anonymous = False
    for identity in identities:
        if (identity.provider == "email" and email) or (identity.provider == "phone" and phone):
            identity.identity_data = identity.identity_data | {f"{identity.provider}_verified": True}
    if first:
        await tell(ctx, UserConfirmed(user_id=user.id))


def ensure_identity(
    ctx: Context, user: UserRow, identities: list[IdentityRow], provider: str, data: dict[str, Any]
) -> IdentityRow:
    """Change the identity by address or number, or add it together with the provider's name in `app_metadata`."""
    now = ctx.now()
    for known in identities:
        if known.provider == provider:
            known.identity_data, known.updated_at = known.identity_data | data, now
            return known
    verified = {"email_verified": False, "phone_verified": False}
    made = IdentityRow(
        id=uuid7(),
        user_id=user.id,
        provider=provider,
        provider_id=str(user.id),
        identity_data=data | verified,
        email=data.get("email"),
        created_at=now,
        updated_at=now,
    )
    ctx.session.add(made)
    identities.append(made)
    providers = [*user.app_metadata.get("providers", []), provider]
    user.app_metadata = {"provider": provider, **user.app_metadata, "providers": providers}
    return made


async def forget_codes(ctx: Context, user_id: UUID) -> None:
    """Make all codes void that an account was sent."""
    await ctx.session.execute(delete(OneTimeTokenRow).where(OneTimeTokenRow.user_id == user_id))
