"""The kit: plugins assembled around one database, started and stopped together. Nothing here is global."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from sqlalchemy import text
from typing_extensions import TypeForm

from corekit.assembly import discover, handlers_of, known_tags, migrations_of, order, purposes_of, versions
from corekit.built_in import PURPOSES, TABLES, BuiltIn
from corekit.context import NOBODY, Actor, Caller, Client, Context, Kit
from corekit.contracts.auth import Denied, authenticate
from corekit.data import Base, Database, DatabaseSettings, Keyring, Lane, LaneSpec
from corekit.data.crypto import KeyringSettings
from corekit.data.crypto.columns import KEYS
from corekit.data.lanes import lanes_for
from corekit.data.people import DataKeys
from corekit.data.policy import policies
from corekit.data.schema import Schema
from corekit.errors import ConfigError, PluginError, Unauthenticated
from corekit.guard.permissions import warn_of_unknown
from corekit.hooks import Hooks
from corekit.jobs import JobEngine, JobSettings, make_engine, start_jobs
from corekit.jobs.listeners import Listeners
from corekit.plugin import Plugin
from corekit.settings import Config, Settings
from corekit.values import Clock, SystemClock
from corekit.watch import Check, Health, get_logger

T = TypeVar("T")
Item = TypeVar("Item")
Done = TypeVar("Done")

WORKERS_MAX = 256
RESERVED = frozenset((*TABLES, "core", "corekit", "env"))
CHALLENGE = 'Bearer error="invalid_token"'  # RFC 6750 §3.1


class KitSettings(Settings, frozen=True):
    """`[kit]`: which plugins are on (without a list, outside production: all that are installed).

    `workers` is how many processes `corekit serve` starts; a host that starts several itself says it here too.
    """

    plugins: tuple[str, ...] | None = None
    data_dir: Path = Path("./var")
    migrate: bool | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming the setting and what it must be.

        """
        if not 1 <= self.workers <= WORKERS_MAX:
            raise ConfigError(f"[kit] workers is 1 to {WORKERS_MAX}, not {self.workers}")


class AccessSettings(Settings, frozen=True):
    """`[access]`: permissions per role, roles per user id; until a plugin provides more."""

    roles: dict[str, tuple[str, ...]] = {}
    grants: dict[str, tuple[str, ...]] = {}


class Corekit(Kit):
    """Plugins around one database: `async with Corekit([AuthPlugin(), …], database="sqlite:///app.db") as kit`."""

    _starting = False

    def __init__(
        self,
        plugins: Sequence[Plugin[Any]],
        *,
        database: str | DatabaseSettings | None = None,
        data_dir: str | Path | None = None,
        env: str | None = None,
        config: Config | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.config = config or Config(env or "dev")
        self.env = env or self.config.env
        self.clock: Clock = clock or SystemClock()
        self.settings = self.config.table("kit", KitSettings)
        self.alone = self.settings.workers == 1
        self.access = self.config.table("access", AccessSettings)
        self.jobs = self.config.table("jobs", JobSettings)
        self._built_in = BuiltIn(self, self.config, [each for plugin in plugins for each in plugin.provides])
        self.redis = self._built_in.redis
        self.plugins = order(plugins, self._built_in.contracts)
        _configure(self.plugins, self.config)
        folder = Path(data_dir) if data_dir is not None else self.settings.data_dir
        self.database = Database(_database(database, self.config), folder)
        self.keyring: Keyring  # loaded at the start
        self.hooks = Hooks()
        for plugin in self.plugins:
            self.hooks.register(plugin, plugin.name)
        self.handlers = handlers_of((*self._built_in.upkeep, *self.plugins))
        self.job_engine: JobEngine = make_engine(self.handlers, self.jobs)
        self.purposes = purposes_of(self.plugins, PURPOSES)
        for handler in self.handlers.jobs.values():
            self.demand_purpose(handler.purpose)
        folders = {p.name: p.migrations for p in self.plugins if p.migrations}
        self.schema = Schema(self.database, folders, versions=versions, elsewhere=migrations_of)
        self.database.policies = policies(Base.metadata, ["corekit_", *(f"{plugin.name}_" for plugin in self.plugins)])
        self._lanes = lanes_for(self.database)
        self.health = Health(self._checks())
        self._services: dict[Any, Any] = {}
        self._stack: AsyncExitStack | None = None

    @classmethod
    def load(cls, config: Config, *, alone: bool = True, **options: Any) -> Self:
        """Make the kit that a configuration describes, from the plugins that it lists; `options` go to the kit.

        Beside a server it is not `alone`.

        Raises:
            ConfigError: outside `dev` and `staging` without a list of plugins, or with settings nobody knows.

        """
        enabled = config.table("kit", KitSettings).plugins
        if enabled is None and config.env not in {"dev", "staging"}:
            raise ConfigError(
                f"[kit] plugins is required in {config.env}: an installed package must not change a server"
            )
        plugins = discover(enabled)
        known = {*TABLES, *(plugin.name for plugin in plugins)}
        if unknown := config.unknown_tables(known):
            raise ConfigError(f"settings for nobody: {', '.join(unknown)}; enabled: {', '.join(sorted(known))}")
        kit = cls(plugins, config=config, **options)
        kit.alone = alone and kit.alone
        return kit

    async def __aenter__(self) -> Self:
        """Open the database, bring the schema up (or refuse), start the plugins in order, then the worker."""
        if self.started or self._starting:
            raise PluginError("the kit is started already; only one of its hosts may give it a lifespan")
        stack, self._starting = AsyncExitStack(), True
        try:
            await self._start(stack)
        except BaseException:
            await stack.aclose()
            raise
        finally:
            self._starting = False
        self._stack = stack
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in the opposite order."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncGenerator[None]:
        """Start and stop with a host application: `FastAPI(lifespan=kit.lifespan)`."""
        async with self:
            yield

    async def drain(self, seconds: float = 30.0) -> None:
        """Say "not ready", let plugins shed their load over this time; the stop comes after."""
        self.health.draining = True
        ended = await asyncio.gather(*(plugin.drain(seconds) for plugin in self.plugins), return_exceptions=True)
        for plugin, error in zip(self.plugins, ended, strict=True):
            if isinstance(error, Exception):  # the stop comes all the same
                get_logger("corekit.kit").error("drain_failed", plugin=plugin.name, error=error)

    @property
    def started(self) -> bool:
        """Whether everything is up."""
        return self._stack is not None

    def caller(self, actor: Actor = NOBODY, client: Client | None = None) -> Caller:
        """Make a caller: who acts and from where."""
        return Caller(self, actor, client=client or Client())

    async def authenticate(self, token: str, client: Client | None = None) -> Caller:
        """Find out who a bearer token speaks for; for a host's own routes.

        Raises:
            Unauthenticated: no plugin knows the token, or the one that does refuses it.

        """
        caller = self.caller(client=client)
        answer: Actor | Denied | None = await self.hooks.first(authenticate, token, caller)
        if not isinstance(answer, Actor):
            raise Unauthenticated("the token is " + (answer.reason if answer else "unknown"), challenge=CHALLENGE)
        return replace(caller, actor=answer)

    def context(self, actor: Actor, *, readonly: bool = False) -> AbstractAsyncContextManager[Context]:
        """Open a unit of work for an actor: the short form for embedders."""
        caller = self.caller(actor)
        if actor.kind == "system":
            self.demand_purpose(actor.name)
        return caller.begin(readonly=readonly)

    def get(self, type_: TypeForm[T]) -> T:
        """Return the service that provides `type_`."""
        found = self.find(type_)
        if found is None:
            raise PluginError(f"nothing provides {getattr(type_, '__name__', type_)}; enable a plugin that does")
        return found

    def find(self, type_: TypeForm[T]) -> T | None:
        """Return the service that provides `type_`, or None."""
        return cast("T | None", self._services.get(type_))

    def provide(self, type_: TypeForm[T], service: T) -> None:
        """Offer a service."""
        if type_ in self._services:
            raise PluginError(f"{getattr(type_, '__name__', type_)} is provided already")
        self._services[type_] = service

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the hot path of `spec`."""
        return self._lanes.lane(spec)

    def permissions(self, actor: Actor) -> frozenset[str]:
        """Return what an actor may do: the permissions of its roles and of those granted to its id."""
        roles = {*actor.roles, *self.access.grants.get(str(actor.id), ())}
        return frozenset(permission for role in roles for permission in self.access.roles.get(role, ()))

    def demand_purpose(self, purpose: str) -> None:
        """Refuse a purpose that no plugin declares (PluginError)."""
        if purpose not in self.purposes:
            raise PluginError(f"purpose {purpose!r} is not declared by any plugin; add it to its `purposes`")

    def load_keyring(self) -> Keyring:
        """Read the keys, for this kit and for every session of its database; for commands that start nothing else."""
        keys = self.config.table("keyring", KeyringSettings)
        self.keyring = Keyring.load(keys, self.database.data_dir, generate=self.env == "dev")
        self.database.carried[KEYS] = DataKeys(self.keyring, self.clock.now)
        return self.keyring

    async def _start(self, stack: AsyncExitStack) -> None:
        self.health.reset()
        self.load_keyring()
        await self.database.start()
        stack.push_async_callback(self.database.stop)
        migrate = self.env == "dev" if self.settings.migrate is None else self.settings.migrate
        await (self.schema.up() if migrate else self.schema.demand_current())
        await self.schema.demand_policed(dev=self.env == "dev")
        await self._lanes.start()
        stack.push_async_callback(self._lanes.stop)
        stack.callback(self._services.clear)
        listeners = Listeners(self.handlers)
        await listeners.announce(self)
        if self.redis is not None:
            stack.push_async_callback(self.redis.stop)
        for contract, service in self._built_in.services(self).items():
            self.provide(contract, service)
        await warn_of_unknown(self.hooks, self.access.roles)
        for plugin in self.plugins:
            await stack.enter_async_context(plugin.lifespan(self))
            for contract in plugin.provides:
                if contract not in self._services:
                    raise PluginError(f"plugin {plugin.name} declares {contract.__name__} but did not provide it")
        await start_jobs(
            self,
            self.handlers,
            self.job_engine,
            listeners=listeners,
            known=known_tags(self.handlers),
            settings=self.jobs,
            stack=stack,
        )

    def _checks(self) -> Iterable[Check]:
        async def database() -> None:
            async with self.database.work(readonly=True).session as session:
                await session.execute(text("SELECT 1"))

        yield Check("database", database)
        yield Check("lanes", self._lanes.check)
        if self.redis is not None:
            yield Check("redis", self.redis.ping, required=False)
        for plugin in self.plugins:
            yield from plugin.health()


def _configure(plugins: Iterable[Plugin[Any]], config: Config) -> None:
    for plugin in plugins:
        if plugin.name in RESERVED:
            raise PluginError(f"a plugin cannot be called {plugin.name!r}: the core uses that name")
        plugin.configure(config)


def _database(given: str | DatabaseSettings | None, config: Config) -> DatabaseSettings:
    if isinstance(given, DatabaseSettings):
        return given
    return DatabaseSettings(url=given) if given else config.table("database", DatabaseSettings)
