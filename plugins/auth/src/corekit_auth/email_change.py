"""Another address for an account: asked for, confirmed by those who read mail there, then moved."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from corekit.context import Caller, Context
from corekit.contracts.auth import EmailChanged
from corekit_auth.errors import EmailExists
from corekit_auth.flows import Pkce
from corekit_auth.models import IdentityRow, TokenKind, UserRow
from corekit_auth.parts import Parts
from corekit_auth.sending import MAIL, Sending
from corekit_auth.telling import tell
from corekit_auth.users import email_identity, own_identity_row

_CURRENT, _NEW = 1, 2  # bits of `email_change_status`


class EmailChange:
    """A taken address is answered as a free one where `hide_unknown` is on: it gets no code, its owner a notice."""

    def __init__(self, parts: Parts) -> None:
        self._codes = parts.codes
        self._flows = parts.flows
        self._sending = Sending(parts)
        self._settings = parts.settings

    async def charge(self, caller: Caller, user: UserRow, email: str) -> None:
        """Count the mails that a change sends."""
        both = [user.email] if self._settings.double_email_change and user.email else []
        await self._sending.charge(caller, email, *both)

    async def begin(
        self, ctx: Context, user: UserRow, email: str, *, pkce: Pkce | None, redirect_to: str | None
    ) -> None:
        """Note the new address and ask for its confirmation.

        Raises:
            EmailExists: it is another account's, and that may be said.

        """
        if not self._settings.hide_unknown and await _taken(ctx, email):
            raise EmailExists
        user.new_email, user.email_change_sent_at, user.email_change_status = email, ctx.now(), 0
        await self._sending.write(ctx, "email_change", email, pkce=pkce, redirect_to=redirect_to, user_id=user.id)

    async def arrange(self, ctx: Context, user: UserRow, email: str) -> None:
        """Note the new address where an administrator makes the links; of one change both links stay good.

        Raises:
            EmailExists: it is another account's, or this one's already.

        """
        if await _taken(ctx, email):
            raise EmailExists
        # What a client began with a verifier ends here: these links lead to a session, not to its auth code.
        await self._flows.spend(ctx, MAIL, f"email_change.{user.id.hex}")
        user.email_change_sent_at = ctx.now()
        if user.new_email != email:
            user.new_email, user.email_change_status = email, 0
            await self._codes.void(ctx, user.id, "email_change_current", "email_change_new")

    async def confirmed(self, ctx: Context, user: UserRow, identities: list[IdentityRow], kind: TokenKind) -> bool:
        """Note who confirmed, each once; tell whether it was the last one, and the address has moved.

        Raises:
            EmailExists: somebody else has taken it meanwhile.

        """
        user.email_change_status |= _CURRENT if kind == "email_change_current" else _NEW
        needed = _CURRENT | _NEW if self._settings.double_email_change and user.email else _NEW
        if user.email_change_status & needed != needed or not user.new_email:
            return False
        await self.move(ctx, user, identities, user.new_email)
        return True

    async def move(self, ctx: Context, user: UserRow, identities: list[IdentityRow], email: str) -> None:
        """Give an account its new address, tell the old one, and void every code that was sent there.

        Raises:
            EmailExists: it is another account's.

        """
        if await _taken(ctx, email):
            raise EmailExists
        old, now = user.email, ctx.now()
        user.email, user.email_confirmed_at, user.updated_at = email, now, now
        user.new_email, user.email_change_status, user.is_anonymous = None, 0, False
        known = [identity for identity in identities if identity.provider == "email"]
        for identity in known:
            identity.email = email
            identity.identity_data = identity.identity_data | email_identity(user.id, email)
            identity.updated_at = now
        if not known:
            identities.append(made := own_identity_row(user, now, verified=True))
            ctx.session.add(made)
            providers = [*user.app_metadata.get("providers", []), "email"]
            user.app_metadata = {"provider": "email", **user.app_metadata, "providers": providers}
        try:
            await ctx.session.flush()
        except IntegrityError:
            raise EmailExists from None
        await self._codes.void(ctx, user.id)
        await tell(ctx, EmailChanged(user_id=user.id))
        if old:
            await self._sending.write(ctx, "email_changed", old)


async def _taken(ctx: Context, email: str) -> bool:
    return await ctx.session.scalar(select(UserRow.id).where(UserRow.email == email)) is not None
