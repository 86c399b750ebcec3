"""The keys of access tokens as a running process holds them: sealed in the database, followed from there."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from joserfc import jwt
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Context, Kit
from corekit.data.crypto import seal
from corekit.errors import ConfigError
from corekit.values import uuid7
from corekit_auth.key_material import Signer, make, secret, signer
from corekit_auth.models import SigningKeyRow
from corekit_auth.purposes import KEYS
from corekit_auth.settings import AuthSettings
from corekit_auth.verifier import Verifier

_AGAIN = 0.25  # seconds between two looks for an unknown key
_State = tuple[tuple[str, str], ...]


class _Held(msgspec.Struct, frozen=True):
    """What was read last."""

    kid: str
    alg: str
    private: Signer
    published: Sequence[dict[str, Any]]
    secrets: Mapping[str, bytes]
    retired: frozenset[str]
    state: _State


class Keys:
    """The key that signs, the public halves of all that are not retired, and the secrets that only we know."""

    def __init__(self, kit: Kit, held: _Held) -> None:
        self._kit = kit
        self._held = held
        self._looked = time.monotonic()
        self._verifiers: list[Verifier] = []
        self._followers: list[Callable[[], None]] = []

    @property
    def kid(self) -> str:
        """The key that signs."""
        return self._held.kid

    @property
    def alg(self) -> str:
        """Its algorithm."""
        return self._held.alg

    @property
    def algs(self) -> list[str]:
        """The algorithms in use."""
        return sorted({self.alg, *(key["alg"] for key in self._held.published)})

    @property
    def jwks(self) -> dict[str, Any]:
        """The key set, as it is published."""
        return {"keys": list(self._held.published)}

    @property
    def secrets(self) -> Mapping[str, bytes]:
        """The secrets of HS256 by `kid`."""
        return self._held.secrets

    @classmethod
    async def load(cls, kit: Kit) -> "Keys":
        """Read the keys; where none signs yet, make one. Of two processes that start at once, one's key stays.

        Raises:
            DecryptFailed: the keyring is not the one that sealed them.

        """
        async with kit.caller().system(KEYS).begin(readonly=True) as ctx:
            rows = await _rows(ctx)
        if not any(row.state == "signing" for row in rows):
            async with kit.caller().system(KEYS).begin() as ctx:
                await _insert(ctx)
                rows = await _rows(ctx)
        return cls(kit, _held(rows))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Sign an access token with the key that is signing now."""
        held = self._held
        header = {"alg": held.alg, "kid": held.kid, "typ": "JWT"}
        return jwt.encode(header, dict(claims), held.private, algorithms=[held.alg])

    def verifier(self, settings: AuthSettings, now: Callable[[], float] = time.time) -> Verifier:
        """Make a verifier of our own tokens; it follows the keys."""
        made = Verifier(self.jwks, issuer=settings.iss, audience=settings.aud, size=settings.token_cache, now=now)
        self._verifiers.append(made)
        self._tell(made)
        return made

    def follow(self, changed: Callable[[], None]) -> None:
        """Call this when the keys are others than before."""
        self._followers.append(changed)

    async def look(self) -> bool:
        """Follow what was rotated, imported or retired here or elsewhere; tell whether anything was.

        Looking costs one small statement; only what has changed is opened.
        """
        self._looked = time.monotonic()
        async with self._kit.caller().system(KEYS).begin(readonly=True) as ctx:
            found = (await ctx.session.execute(_named())).all()
            state: _State = tuple((kid, state) for kid, state in found)
            if state == self._held.state or not any(step == "signing" for _, step in state):
                return False
            rows = await _rows(ctx)
        self._held = _held(rows)
        for verifier in self._verifiers:
            self._tell(verifier)
        for changed in self._followers:
            changed()
        return True

    async def look_again(self) -> bool:
        """Do the same for a token whose key is unknown; made-up ones cost no more than a look now and then."""
        return time.monotonic() - self._looked >= _AGAIN and await self.look()

    def _tell(self, verifier: Verifier) -> None:
        verifier.replace(self.jwks, secrets=self._held.secrets, retired=self._held.retired)


def _held(rows: Sequence[SigningKeyRow]) -> _Held:
    signing = next((row for row in rows if row.state == "signing"), None)
    if signing is None:
        raise ConfigError("no signing key, and none could be made")
    good = [row for row in rows if row.state != "retired"]
    return _Held(
        kid=signing.kid,
        alg=signing.alg,
        private=signer(signing.alg, signing.private),
        published=[row.public for row in good if row.alg != "HS256"],
        secrets={row.kid: secret(row.private) for row in good if row.alg == "HS256"},
        retired=frozenset(row.kid for row in rows if row.state == "retired"),
        state=tuple((row.kid, row.state) for row in rows),
    )


def _named() -> Any:
    return select(SigningKeyRow.kid, SigningKeyRow.state).order_by(SigningKeyRow.created_at, SigningKeyRow.id)


async def _rows(ctx: Context) -> Sequence[SigningKeyRow]:
    oldest = select(SigningKeyRow).order_by(SigningKeyRow.created_at, SigningKeyRow.id)
    return (await ctx.session.scalars(oldest)).all()


async def _insert(ctx: Context) -> None:
    made, key_id = make("ES256"), uuid7()
    values = {
        "id": key_id,
        "kid": made.kid,
        "alg": made.alg,
        "state": "signing",
        "private": await seal(ctx.session, SigningKeyRow.private, key_id, made.private),
        "public": made.public,
        "created_at": ctx.now(),
        "updated_at": ctx.now(),
    }
    insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
    await ctx.session.execute(insert(SigningKeyRow).values(values).on_conflict_do_nothing())
