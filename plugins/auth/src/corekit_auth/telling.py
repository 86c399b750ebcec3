"""What happened, told twice in one transaction: an event for whoever listens, an entry in the audit log for people.

Auth emits no event in any other way. The rotation of a refresh token has neither: it is the hottest write of auth, and
the session's own row says when it was.
"""

from uuid import UUID

import msgspec

from corekit.context import Context
from corekit.contracts.audit import Audit, Target
from corekit.contracts.auth import (
    AccountThrottled,
    EmailChanged,
    FactorEnrolled,
    FactorRemoved,
    FactorVerified,
    IdentityLinked,
    IdentityUnlinked,
    KeyRotated,
    PasskeyAdded,
    PasskeyRemoved,
    PasswordChanged,
    PhoneChanged,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
    RefreshReuseDetected,
    SessionEnded,
    SignedIn,
    UserBanned,
    UserConfirmed,
    UserCreated,
    UserDeleted,
)
from corekit.events import Event, emit

PREFIX = "auth."  # each plugin's actions begin with its name; what follows are GoTrue's names, and ours
_ACTIONS: dict[type[Event], str] = {
    AccountThrottled: "login_throttled",
    EmailChanged: "user_modified",
    FactorEnrolled: "factor_in_progress",
    FactorRemoved: "factor_unenrolled",
    FactorVerified: "factor_updated",
    IdentityLinked: "identity_linked",
    IdentityUnlinked: "identity_unlinked",
    KeyRotated: "key_rotated",
    PasskeyAdded: "passkey_created",
    PasskeyRemoved: "passkey_deleted",
    PasswordChanged: "user_updated_password",
    PhoneChanged: "user_modified",
    RecoveryCodeUsed: "recovery_code_used",
    RecoveryCodesReplaced: "recovery_codes_replaced",
    RefreshReuseDetected: "refresh_reuse",
    SessionEnded: "token_revoked",
    SignedIn: "login",
    UserBanned: "user_modified",
    UserConfirmed: "user_modified",
    UserCreated: "user_signedup",
    UserDeleted: "user_deleted",
}
_OWN_END = ("logout", "global", "others")  # reasons of those who end their sessions themselves


async def tell(ctx: Context, event: Event) -> None:
    """Emit an event and write its audit entry; its fields are ids, methods and reasons, so they are the details."""
    await emit(ctx, event)
    details = msgspec.structs.asdict(event)
    user_id = details.pop("user_id", None)
    target = Target("user", user_id) if user_id else Target("key", event.kid) if isinstance(event, KeyRotated) else None
    details["event"] = event.__struct_config__.tag
    await ctx.get(Audit).record(ctx, action_of(event), target=target, details=details, actor=_actor(ctx, user_id))


async def tell_failure(ctx: Context, user_id: UUID | None, method: str) -> None:
    """Write the audit entry of a sign-in that failed: no event, or a guesser could fill the outbox."""
    target = Target("user", user_id) if user_id else None
    action, details = f"{PREFIX}login_failed", {"method": method}
    await ctx.get(Audit).record(ctx, action, target=target, details=details, actor=_actor(ctx, user_id))


def action_of(event: Event) -> str:
    """Name the entry of an event."""
    if isinstance(event, SessionEnded) and event.reason in _OWN_END:
        return f"{PREFIX}logout"
    return PREFIX + _ACTIONS[type(event)]


def _actor(ctx: Context, user_id: UUID | None) -> UUID | None:
    """Name the user where nobody else acts: an administrator who works on an account is the actor themselves."""
    return user_id if ctx.actor.kind == "system" and ctx.on_behalf_of is None else None
