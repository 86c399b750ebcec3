"""Making what a sign-in hands out: the signed access token and the session object around it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from joserfc import jwt

from corekit_auth import refresh_tokens
from corekit_auth.keys import ALG, Keys
from corekit_auth.models import IdentityRow, SessionRow, UserRow
from corekit_auth.objects import FactorObject, Grant, SessionObject, user_object
from corekit_auth.settings import AuthSettings


class Tokens:
    """Signs with the key that is signing now."""

    def __init__(self, settings: AuthSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys

    def access(self, user: UserRow, session: SessionRow, now: datetime) -> str:
        """Sign an access token."""
        header = {"alg": ALG, "kid": self._keys.kid, "typ": "JWT"}
        return jwt.encode(header, self._claims(user, session, int(now.timestamp())), self._keys.private)

    def grant(
        self,
        user: UserRow,
        identities: Sequence[IdentityRow],
        session: SessionRow,
        key: bytes,
        now: datetime,
        *,
        factors: Sequence[FactorObject] = (),
        counter: int = 0,
        reuse: Literal["", "concurrent-refresh", "fail-to-save"] = "",
    ) -> Grant:
        """Make the answer of a token route; `counter` is the one to hand out, `key` the session's own."""
        ttl = self._settings.access_ttl
        made = SessionObject(
            access_token=self.access(user, session, now),
            expires_in=ttl,
            expires_at=int(now.timestamp()) + ttl,
            refresh_token=refresh_tokens.encode(session.id, counter, key),
            user=user_object(user, identities, factors),
        )
        return Grant(
            session=made, session_id=session.id, counter=counter, rotated=counter > session.counter, reuse=reuse
        )

    def _claims(self, user: UserRow, session: SessionRow, issued: int) -> dict[str, Any]:
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
