"""Who may do an administrator's work: a service with its key, or a person whose token has one of the roles."""

from dataclasses import replace
from datetime import datetime, timedelta

from corekit.context import Actor, Caller
from corekit_auth.errors import BadJwt, InsufficientAal, NoAuthorization, NotAdmin, StaleSignIn
from corekit_auth.gate import Gate
from corekit_auth.models import SessionRow
from corekit_auth.parts import Parts
from corekit_auth.purposes import ADMIN

_SECOND_FACTORS = frozenset(("totp", "mfa/phone", "mfa/webauthn", "recovery_code", "passkey"))


class Admission:
    """Turns what was shown into a caller elevated for `auth.admin`."""

    def __init__(self, parts: Parts, gate: Gate) -> None:
        self._gate = gate
        self._sessions = parts.sessions
        self._settings = parts.settings

    async def admin(self, caller: Caller, *, bearer: str, apikey: str) -> Caller:
        """Elevate an administrator; `on_behalf_of` is the person or the key. A person's bearer wins over a key.

        Raises:
            NoAuthorization: nothing was shown.
            BadJwt: what was shown is nothing of ours, or it is over.
            NotAdmin: it is somebody else's.
            SessionNotFound, UserNotFound, Banned: the person's session or account is over.
            InsufficientAal, StaleSignIn: the person's second factor is missing or too long ago.

        """
        if not bearer and not apikey:
            raise NoAuthorization
        actor = await self._shown(bearer, apikey)
        if actor.proof is None or actor.proof.role not in self._settings.admin_roles:
            raise NotAdmin
        elevated = replace(caller, actor=actor).system(ADMIN)
        if actor.kind == "user":
            async with elevated.begin(readonly=True) as ctx:
                account = await self._sessions.live(ctx, actor)
                if account.user.role not in self._settings.admin_roles:
                    raise NotAdmin  # the role was taken away after the token was signed
                self._demand_strong(account.session, ctx.now())
        return elevated

    async def _shown(self, bearer: str, apikey: str) -> Actor:
        """Tell whom the bearer speaks for; where it is nothing of ours (a client's public key), the key counts."""
        refused = BadJwt()
        for text in filter(None, (bearer, apikey)):
            if (service := await self._gate.service(text)) is not None:
                return service
            if text is bearer:
                try:
                    return self._gate.bearer(text)
                except BadJwt as error:
                    if self._gate.ours(text):
                        raise
                    refused = error
        raise refused

    def _demand_strong(self, session: SessionRow, now: datetime) -> None:
        """Ask administrators for a second factor, lately enough (statement 14)."""
        life = self._settings.admin_aal2_life
        if life <= 0:
            return
        if session.aal < 2:  # noqa: PLR2004  # assurance level 2
            raise InsufficientAal
        last = max((step["timestamp"] for step in session.amr if step["method"] in _SECOND_FACTORS), default=0)
        if now - timedelta(seconds=life) > datetime.fromtimestamp(last, now.tzinfo):
            raise StaleSignIn
