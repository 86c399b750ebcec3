"""Making what a sign-in hands out: the signed access token and the session object around it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

import msgspec

from corekit.context import Caller, Context
from corekit.contracts.auth import custom_access_token
from corekit_auth import refresh_tokens
from corekit_auth.errors import HookTimeout, HookTimeoutAtRefresh, ValidationFailed
from corekit_auth.hook_time import in_time
from corekit_auth.keys import Keys
from corekit_auth.models import IdentityRow, SessionRow, UserRow
from corekit_auth.models.plain import IdentityRecord, SessionRecord, UserRecord
from corekit_auth.objects import FactorObject, Grant, SessionObject, user_object
from corekit_auth.purposes import SIGN_IN
from corekit_auth.settings import AuthSettings
from corekit_auth.verifier import TOKEN_MAX, Claims

User = UserRow | UserRecord
Session = SessionRow | SessionRecord
Scope = Caller | Context
# What the protocol and the guards rely on: a hook adds to it and leaves it alone.
_PROTECTED = ("iss", "sub", "aud", "exp", "iat", "role", "aal", "session_id")


class Tokens:
    """Signs with the key that is signing now."""

    def __init__(self, settings: AuthSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys

    async def access(self, scope: Scope, user: User, session: Session, *, refreshing: bool = False) -> str:
        """Sign an access token, with what hooks add to it; they get a context of their own where none is open.

        Raises:
            ValidationFailed: a hook changed a claim of the protocol, or added one that does not fit.
            HookTimeout, HookTimeoutAtRefresh: a hook took too long.

        """
        claims = self._claims(user, session, int(scope.kit.clock.now().timestamp()))
        if not scope.kit.hooks.implementors(custom_access_token):
            return self._keys.sign(claims)
        if isinstance(scope, Caller):
            async with scope.system(SIGN_IN).begin(readonly=True) as ctx:
                return await self.access(ctx, user, session, refreshing=refreshing)
        asked = scope.kit.hooks.pipe(custom_access_token, deepcopy(claims), scope)
        late = HookTimeoutAtRefresh if refreshing else HookTimeout
        added = await in_time(self._settings.hook_timeout, asked, late)
        _check(claims, added)
        if len(token := self._keys.sign(added)) > TOKEN_MAX:
            raise ValidationFailed(f"claims: the token would be longer than {TOKEN_MAX} characters")
        return token

    async def grant(
        self,
        scope: Scope,
        user: User,
        identities: Sequence[IdentityRow | IdentityRecord],
        session: Session,
        key: bytes,
        *,
        factors: Sequence[FactorObject] = (),
        counter: int = 0,
        reuse: Literal["", "concurrent-refresh", "fail-to-save"] = "",
        refreshing: bool = False,
    ) -> Grant:
        """Make the answer of a token route; `counter` is the one to hand out, `key` the session's own."""
        ttl = self._settings.access_ttl
        made = SessionObject(
            access_token=await self.access(scope, user, session, refreshing=refreshing),
            expires_in=ttl,
            expires_at=int(scope.kit.clock.now().timestamp()) + ttl,
            refresh_token=refresh_tokens.encode(session.id, counter, key),
            user=user_object(user, identities, factors),
        )
        return Grant(
            session=made, session_id=session.id, counter=counter, rotated=counter > session.counter, reuse=reuse
        )

    def _claims(self, user: User, session: Session, issued: int) -> dict[str, Any]:
        return {
            "iss": self._settings.iss,
            "sub": str(user.id),
            "aud": user.aud,
            "exp": issued + self._settings.access_ttl,
            "iat": issued,
            "email": user.email or "",
            "phone": user.phone or "",
            "app_metadata": user.app_metadata,
            "user_metadata": user.user_metadata,
            "role": user.role,
            "aal": f"aal{session.aal}",
            "amr": session.amr,
            "session_id": str(session.id),
            "is_anonymous": user.is_anonymous,
        }


def _check(before: Mapping[str, Any], after: Any) -> None:
    """Refuse what would not be an access token of ours any more."""
    if not isinstance(after, dict):
        raise ValidationFailed("claims: custom_access_token returns a dict or None")
    if changed := [name for name in _PROTECTED if name not in after or after[name] != before[name]]:
        raise ValidationFailed(f"{', '.join(changed)}: custom_access_token adds claims and leaves these as they are")
    try:
        msgspec.json.decode(msgspec.json.encode(after), type=Claims)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise ValidationFailed(f"claims: {error}") from None
