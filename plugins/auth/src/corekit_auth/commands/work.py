"""How a command of auth does its work: in one context of a purpose, beside whatever servers run."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from corekit.cli.options import load, run
from corekit.context import Context
from corekit.errors import ConfigError, Problem
from corekit.kit import Corekit
from corekit_auth.settings import AuthSettings

T = TypeVar("T")
Options = tuple[Path | None, str | None, str | None, Path | None]


def work(
    options: Options,
    purpose: str,
    verb: Callable[[Context, AuthSettings], Awaitable[T]],
    *,
    readonly: bool = False,
) -> T:
    """Do `verb` on the database of a configuration.

    Raises:
        ConfigError: auth is not enabled there, or refuses what it was asked.

    """
    kit = Corekit.load(load(*options))
    settings = next((plugin.settings for plugin in kit.plugins if plugin.name == "auth"), None)
    if not isinstance(settings, AuthSettings):
        raise ConfigError("auth is not among the enabled plugins; add it to [kit] plugins")
    kit.load_keyring()

    async def done() -> T:
        async with kit.database:
            await kit.schema.demand_current()
            async with kit.caller().system(purpose).begin(readonly=readonly) as ctx:
                return await verb(ctx, settings)

    try:
        return run(done())
    except Problem as problem:
        raise ConfigError(str(problem)) from None
