"""The base class of every plugin: one class that brings services, hooks, listeners, jobs, routes and tables."""

import inspect
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

from corekit.context import Kit
from corekit.errors import PluginError
from corekit.settings import Config, Settings
from corekit.watch import Check

S = TypeVar("S", bound=Settings)

__all__ = ["Kit", "Plugin"]


class Plugin(Generic[S]):
    """One class, `class ChatPlugin(Plugin[ChatSettings])`; everything below has a default but `name`.

    `provides` and `requires` name contracts (Protocols), `wants` the optional ones. `purposes` declares what the plugin
    elevates for, each with one sentence.
    """

    name: ClassVar[str]
    provides: ClassVar[Sequence[Any]] = ()
    requires: ClassVar[Sequence[Any]] = ()
    wants: ClassVar[Sequence[Any]] = ()
    purposes: ClassVar[Mapping[str, str]] = {}
    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: S | None = None) -> None:
        self._settings = settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Plugin and isinstance(get_args(base)[0], type):
                cls.settings_type = get_args(base)[0]

    @property
    def settings(self) -> S:
        """The plugin's settings: those it was made with, otherwise the table `[<name>]` of the configuration."""
        if self._settings is None:
            raise PluginError(f"plugin {self.name} has no settings before it is part of a kit")
        return self._settings

    def configure(self, config: Config) -> None:
        """Take the settings from the configuration, unless the plugin was made with some."""
        if self._settings is None:
            self._settings = cast("S", config.table(self.name, self.settings_type))

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:  # noqa: ARG002  # the default needs no kit
        """Start: provide services; after the yield: stop."""
        yield

    async def drain(self, seconds: float) -> None:
        """Shed load over this time, before the stop."""

    def routes(self) -> Sequence[Any]:
        """Return Litestar controllers and handlers; import them here, so that a kit without HTTP needs no Litestar."""
        return ()

    @classmethod
    def commands(cls) -> Sequence[Any]:
        """Return click commands, run as `corekit <name> <command>`; import them here, as with the routes."""
        return ()

    def health(self) -> Iterable[Check]:
        """Return readiness checks."""
        return ()

    @property
    def migrations(self) -> Path | None:
        """The folder of the plugin's Alembic branch, if it has tables: `migrations/<name>_….py` beside its module."""
        for cls in type(self).__mro__[: type(self).__mro__.index(Plugin)]:  # a subclass elsewhere has its base's tables
            try:
                folder = Path(inspect.getfile(cls)).parent / "migrations"
            except (TypeError, OSError):  # made in an interactive session: no file, no tables
                continue
            if any(folder.glob(f"{self.name}_*.py")):
                return folder
        return None
