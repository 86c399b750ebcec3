"""Another number for an account: asked for, confirmed by SMS, then moved."""

from sqlalchemy.exc import IntegrityError

from corekit.context import Context
from corekit_auth import edits
from corekit_auth.errors import PhoneExists
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.parts import Parts
from corekit_auth.sending import Sending


class PhoneChange:
    """A taken number is answered as a free one where `hide_unknown` is on: it gets no code."""

    def __init__(self, parts: Parts) -> None:
        self._sending = Sending(parts)
        self._settings = parts.settings
        self._users = parts.users

    async def begin(self, ctx: Context, user: UserRow, phone: str) -> None:
        """Note the new number and ask for its confirmation.

        Raises:
            PhoneExists: it is another account's, and that may be said.

        """
        if not self._settings.hide_unknown and await self._users.by_phone(ctx, phone) is not None:
            raise PhoneExists
        user.new_phone, user.phone_change_sent_at = phone, ctx.now()
        await self._sending.write(ctx, "phone_change", phone, user_id=user.id)

    async def confirmed(self, ctx: Context, user: UserRow, identities: list[IdentityRow]) -> None:
        """Give an account the number whose code came back.

        Raises:
            PhoneExists: somebody else has taken it meanwhile.

        """
        if user.new_phone:
            await self.move(ctx, user, identities, user.new_phone)

    async def move(self, ctx: Context, user: UserRow, identities: list[IdentityRow], phone: str) -> None:
        """Give an account its new number, and void every code that it was sent.

        Raises:
            PhoneExists: it is another account's.

        """
        await edits.set_phone(ctx, user, identities, phone)
        await edits.confirm(ctx, user, identities, email=False, phone=True)
        user.phone_confirmed_at = ctx.now()
        try:
            await ctx.session.flush()
        except IntegrityError:
            raise PhoneExists from None
