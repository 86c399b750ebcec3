"""The plugin: what it provides, implements and starts."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from corekit.context import Actor, Caller, Context
from corekit.contracts.audit import Audit
from corekit.contracts.auth import Auth, Denied, authenticate
from corekit.guard import Limits
from corekit.hooks import implements
from corekit.jobs import job, schedule
from corekit.plugin import Kit, Plugin
from corekit_auth.hashing import Hasher
from corekit_auth.key_ring import KeyRing
from corekit_auth.keys import Keys
from corekit_auth.notices import Noticing
from corekit_auth.parts import Parts
from corekit_auth.pruning import prune
from corekit_auth.purposes import KEYS, PRUNE, PURPOSES, SEND_CODE, SIGN_IN
from corekit_auth.revocations import Revocations
from corekit_auth.service import AuthService
from corekit_auth.service_keys import ServiceKeys
from corekit_auth.settings import AuthSettings


class AuthPlugin(Noticing, Plugin[AuthSettings]):
    """Accounts, sessions and tokens, at `/auth/v1` in the protocol of Supabase Auth."""

    name = "auth"
    provides = (Auth,)
    requires = (Limits, Audit)
    purposes = PURPOSES

    def __init__(self, settings: AuthSettings | None = None) -> None:
        super().__init__(settings)
        self._service: AuthService | None = None

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Load the keys, follow the revocations, provide `Auth`."""
        self.settings.check(kit.env)
        keys = await Keys.load(kit)
        hasher, revocations = Hasher(self.settings), Revocations(kit, self.settings)
        service_keys = ServiceKeys(kit)
        revocations.follow(keys.look)
        revocations.follow(service_keys.write_down)
        await revocations.start()
        parts = Parts.of(
            kit, self.settings, keys=keys, hasher=hasher, revocations=revocations, send_code=self.send_code
        )
        self._service = service = AuthService(parts, service_keys)
        async with kit.caller().system(SIGN_IN).begin(readonly=True) as ctx:
            hasher.imported = await parts.users.any_imported(ctx)
        self.notices = service.notices
        kit.provide(Auth, self._service)
        kit.provide(AuthService, self._service)
        try:
            yield
        finally:
            await self._service.close()
            self._service = self.notices = None
            await revocations.stop()
            hasher.close()
            await service_keys.write_down()

    @implements(authenticate)
    async def authenticate(self, token: str, caller: Caller) -> Actor | Denied | None:  # noqa: ARG002  # the hook's shape
        """Answer for tokens of ours."""
        return await self._service.authenticate(token) if self._service else None

    @job("auth.send_code", network=True, purpose=SEND_CODE)
    async def send_code(self, caller: Caller, flow_id: UUID) -> None:
        """Make and send what a flow asks for; the outbox knows its id alone."""
        if self._service is not None:
            await self._service.one_time.send(caller, flow_id)

    @schedule("23 * * * *", tag="auth.prune", purpose=PRUNE)
    async def prune(self, ctx: Context) -> None:
        """Keep the tables of revocations and failures as small as what they still say."""
        await prune(ctx, self.settings)

    @schedule("41 4 * * *", tag="auth.keys", purpose=KEYS)
    async def tend_keys(self, ctx: Context) -> None:
        """Rotate the signing key once it is old enough, and retire those whose tokens have all ended."""
        await KeyRing(self.settings).tend(ctx)

    @classmethod
    def commands(cls) -> Sequence[Any]:
        """Return `corekit auth …`."""
        from corekit_auth.commands import import_supabase, keys, user  # noqa: PLC0415  # only the command line needs them

        return [import_supabase, keys, user]

    def routes(self) -> Sequence[Any]:
        """Return the routes below the prefix."""
        from corekit_auth.routes import routes  # noqa: PLC0415  # a kit without HTTP needs no Litestar

        return routes(self.settings)
