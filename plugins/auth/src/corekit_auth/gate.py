"""The hot path of every request: from a bearer token to an actor."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from corekit.context import Actor, Caller, Kit, Proof
from corekit.contracts.auth import Denied
from corekit_auth.errors import BadJwt, NoAuthorization
from corekit_auth.keys import Keys
from corekit_auth.legacy_keys import LegacyKeys
from corekit_auth.lru import Recent
from corekit_auth.models import SessionRow, UserRow
from corekit_auth.purposes import AUTHENTICATE
from corekit_auth.revocations import Revocations
from corekit_auth.service_keys import PREFIX, ServiceKeys
from corekit_auth.settings import AuthSettings
from corekit_auth.verifier import TOKEN_MAX, Claims, InvalidToken, UnknownKey


class _Known:
    """A token that was checked: whose it is, until when, and which epoch of revocations it was checked against."""

    __slots__ = ("actor", "epoch", "expires", "session_id")

    def __init__(self, claims: Claims) -> None:
        self.actor = _actor(claims)
        self.expires = datetime.fromtimestamp(claims.exp, UTC)
        self.session_id = claims.session_id
        self.epoch = -1


class Gate:
    """Checks tokens: signatures once, revocations whenever something was revoked."""

    def __init__(
        self,
        kit: Kit,
        settings: AuthSettings,
        *,
        keys: Keys,
        revocations: Revocations,
        service_keys: ServiceKeys,
    ) -> None:
        self._kit = kit
        self._keys = keys
        self._service_keys = service_keys
        self._legacy = LegacyKeys(kit, settings, keys)
        self._verifier = keys.verifier(settings, now=lambda: kit.clock.now().timestamp())
        self._revocations = revocations
        self._size = settings.token_cache
        self._forget()
        keys.follow(self._forget)

    async def authenticate(self, token: str) -> Actor | Denied | None:
        """Tell who a token speaks for; None = not ours, Denied = ours and refused."""
        if token.startswith(PREFIX):
            return await self._service_keys.authenticate(token)
        try:
            known = self._known(token)
        except InvalidToken as error:
            return await self._refused(token, error)
        if self._revocations.stale:
            return await self._from_row(known)
        if known.epoch != self._revocations.epoch:
            if known.session_id in self._revocations:
                return Denied("revoked")
            known.epoch = self._revocations.epoch
        return known.actor

    async def _refused(self, token: str, error: InvalidToken) -> Actor | Denied | None:
        """Answer for what is no good access token: its key may be newer than our last look, or it is a service's."""
        if isinstance(error, UnknownKey) and error.reason == "invalid" and await self._keys.look_again():
            return await self.authenticate(token)  # the next look is not so soon
        if service := self._legacy.find(token):
            return service
        return None if error.reason == "foreign" else Denied(error.reason)

    def bearer(self, token: str) -> Actor:
        """Tell who a token speaks for, on a route that reads the session itself.

        Raises:
            NoAuthorization: there is none.
            BadJwt: it is not ours, forged, or at its end.

        """
        if not token:
            raise NoAuthorization
        try:
            return self._known(token).actor
        except InvalidToken as error:
            ended = error.reason == "expired"
            raise BadJwt(f"{BadJwt.title}, token has invalid claims: token is expired" if ended else "") from None

    async def service(self, text: str) -> Actor | None:
        """Tell which service shows a key; None = it is no service's key.

        Raises:
            BadJwt: the key is unknown, revoked or at its end.

        """
        if not text.startswith(PREFIX):
            return self._legacy.find(text)
        answer = await self._service_keys.authenticate(text)
        if isinstance(answer, Denied):
            raise BadJwt(f"invalid service key: it is {answer.reason}")
        return answer

    def ours(self, token: str) -> bool:
        """Tell whether a token is one of ours, good or not."""
        try:
            self._known(token)
        except InvalidToken as error:
            return error.reason != "foreign"
        return True

    def _forget(self) -> None:
        """Check every token again: a key may be gone."""
        self._recent: Recent[_Known] = Recent(self._size)

    def _known(self, token: str) -> _Known:
        if len(token) > TOKEN_MAX:
            raise InvalidToken("foreign")
        digest = hashlib.sha256(token.encode("latin-1", "replace")).digest()
        known = self._recent.get(digest)
        if known is None:
            known = _Known(self._verifier.decode(token))
            self._recent.put(digest, known)
        elif known.expires <= self._kit.clock.now():
            raise InvalidToken("expired")
        return known

    async def _from_row(self, known: _Known) -> Actor | Denied:
        """Ask the database: the set of this process may be behind."""
        person = known.actor.id
        live = select(UserRow.banned_until).join(SessionRow, SessionRow.user_id == UserRow.id)
        caller: Caller = self._kit.caller().system(AUTHENTICATE)
        async with caller.begin(readonly=True) as ctx:
            found = (
                await ctx.session.execute(live.where(SessionRow.id == known.session_id, UserRow.id == person))
            ).all()
        if not found:
            return Denied("revoked")
        banned: datetime | None = found[0][0]
        return Denied("banned") if banned is not None and banned > self._kit.clock.now() else known.actor


def session_of(actor: Actor) -> UUID:
    """Return the session that a bearer belongs to.

    Raises:
        NoAuthorization: the actor has not signed in here.

    """
    if actor.proof is None or actor.proof.session_id is None:
        raise NoAuthorization
    return actor.proof.session_id


def _actor(claims: Claims) -> Actor:
    proof = Proof(
        session_id=claims.session_id,
        aal=int(claims.aal[-1]),
        methods=tuple(step.method for step in claims.amr),
        authenticated_at=datetime.fromtimestamp(max((step.timestamp for step in claims.amr), default=claims.iat), UTC),
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        client_id=claims.client_id,
        scopes=tuple(claims.scope.split()),
        role=claims.role,
    )
    return Actor(claims.sub, proof=proof)
