"""A company's own rules for accounts: `Corekit([AuthPlugin(), CompanyPlugin(), …])`."""

from typing import Any

from msgspec.structs import replace

from corekit import Context, Plugin, Settings, implements
from corekit.contracts.audit import Audit, Target
from corekit.contracts.auth import (
    Attempt,
    Reject,
    User,
    UserDraft,
    after_user_created,
    before_user_created,
    custom_access_token,
    password_verification_attempt,
)
from corekit.errors import Forbidden


class CompanySettings(Settings, frozen=True):
    """`[company]`: whose addresses may sign up, and whether people may sign in at the moment."""

    domain: str = "example.com"
    closed: bool = False


class CompanyPlugin(Plugin[CompanySettings]):
    """Lets in who works here, and says so in their tokens."""

    name = "company"
    requires = (Audit,)

    @implements(before_user_created)
    async def only_ours(self, draft: UserDraft) -> UserDraft:
        """Refuse other addresses; what `app_metadata` says is ours to decide."""
        if not draft.email.endswith(f"@{self.settings.domain}"):
            raise Forbidden(f"email: only addresses of {self.settings.domain}")
        return replace(draft, app_metadata=draft.app_metadata | {"company": self.settings.domain})

    @implements(after_user_created)
    async def welcome(self, user: User, ctx: Context) -> None:
        """Write beside the account, in its transaction: here an audit entry, elsewhere a profile."""
        await ctx.get(Audit).record(ctx, "company.joined", target=Target("user", user.id))

    @implements(custom_access_token)
    async def name_company(self, claims: dict[str, Any]) -> dict[str, Any]:
        """Add a claim, which other services read without asking anybody."""
        return claims | {"company": self.settings.domain}

    @implements(password_verification_attempt)
    async def hours(self, attempt: Attempt) -> Reject | None:
        """Refuse who has the right password; a wrong one is refused anyway."""
        return Reject("We are closed.") if attempt.valid and self.settings.closed else None
