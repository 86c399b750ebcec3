"""How a command of auth does its work: on the database of a configuration, beside whatever servers run."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from corekit.cli.options import load, run
from corekit.context import Context
from corekit.contracts.audit import Audit
from corekit.errors import ConfigError, Problem
from corekit.guard import SqlAudit
from corekit.kit import Corekit
from corekit_auth.plugin import AuthPlugin
from corekit_auth.settings import AuthSettings

T = TypeVar("T")
Options = tuple[Path | None, str | None, str | None, Path | None]


def at(options: Options, verb: Callable[[Corekit, AuthPlugin], Awaitable[T]]) -> T:
    """Do `verb` with a kit whose database alone is open.

    Raises:
        ConfigError: auth is not enabled there, or refuses what it was asked.

    """
    kit = Corekit.load(load(*options))
    plugin = next((plugin for plugin in kit.plugins if isinstance(plugin, AuthPlugin)), None)
    if plugin is None:
        raise ConfigError("auth is not among the enabled plugins; add it to [kit] plugins")
    kit.load_keyring()

    async def done() -> T:
        async with kit.database:
            await kit.schema.demand_current()
            if kit.find(Audit) is None:
                kit.provide(Audit, SqlAudit())  # no plugin runs here; the command line writes the core's table
            return await verb(kit, plugin)

    try:
        return run(done())
    except Problem as problem:
        raise ConfigError(str(problem)) from None


def work(
    options: Options,
    purpose: str,
    verb: Callable[[Context, AuthSettings], Awaitable[T]],
    *,
    readonly: bool = False,
) -> T:
    """Do `verb` in one context of a purpose (ConfigError, as `at`)."""

    async def done(kit: Corekit, plugin: AuthPlugin) -> T:
        async with kit.caller().system(purpose).begin(readonly=readonly) as ctx:
            return await verb(ctx, plugin.settings)

    return at(options, done)
