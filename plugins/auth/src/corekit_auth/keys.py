"""The keys that sign access tokens: sealed in the database, made at the first start."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from joserfc.jwk import ECKey
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Context, Kit
from corekit.data.crypto import seal
from corekit.errors import ConfigError
from corekit.values import uuid7
from corekit_auth.models import SigningKeyRow
from corekit_auth.purposes import KEYS
from corekit_auth.settings import AuthSettings
from corekit_auth.verifier import Verifier

ALG = "ES256"


class Keys:
    """The key that signs, and the public halves of all that are not retired."""

    def __init__(self, kid: str, private: ECKey, published: Sequence[dict[str, Any]]) -> None:
        self.kid = kid
        self.private = private
        self.published = tuple(published)

    @property
    def jwks(self) -> dict[str, Any]:
        """The key set, as it is published."""
        return {"keys": list(self.published)}

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
        signing = next((row for row in rows if row.state == "signing"), None)
        if signing is None:
            raise ConfigError("no signing key, and none could be made")
        return cls(signing.kid, ECKey.import_key(signing.private), [row.public for row in rows])

    def verifier(self, settings: AuthSettings, now: Callable[[], float] = time.time) -> Verifier:
        """Make the verifier of our own tokens."""
        return Verifier(self.jwks, issuer=settings.iss, audience=settings.aud, size=settings.token_cache, now=now)


async def _rows(ctx: Context) -> Sequence[SigningKeyRow]:
    published = select(SigningKeyRow).where(SigningKeyRow.state != "retired").order_by(SigningKeyRow.created_at)
    return (await ctx.session.scalars(published)).all()


async def _insert(ctx: Context) -> None:
    made = ECKey.generate_key("P-256", private=True)
    kid, key_id = made.thumbprint(), uuid7()
    values = {
        "id": key_id,
        "kid": kid,
        "alg": ALG,
        "state": "signing",
        "private": await seal(ctx.session, SigningKeyRow.private, key_id, made.as_pem(private=True).decode()),
        "public": {**made.as_dict(private=False), "kid": kid, "alg": ALG, "use": "sig", "key_ops": ["verify"]},
        "created_at": ctx.now(),
        "updated_at": ctx.now(),
    }
    insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
    await ctx.session.execute(insert(SigningKeyRow).values(values).on_conflict_do_nothing())
