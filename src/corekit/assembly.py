"""Fitting plugins together: discovery by entry point, order by what they provide and require, marks into handlers."""

import graphlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Any, ClassVar, Protocol, get_type_hints

from corekit.errors import PluginError
from corekit.events import Event, listened, tag_of
from corekit.jobs import Handler, Handlers
from corekit.jobs.marks import marked
from corekit.plugin import Plugin

GROUP = "corekit"
_NAME = re.compile(r"[a-z][a-z0-9_]*")  # it is a settings table, a prefix of table names and a part of paths


def discover(enabled: Sequence[str] | None) -> list[Plugin[Any]]:
    """Load the enabled plugins by entry point; None enables all that are installed.

    Raises:
        PluginError: one is enabled but not installed, or cannot be loaded.

    """
    installed: Mapping[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in enabled or ():
        if name not in installed:
            raise PluginError(
                f"plugin {name!r} is enabled but not installed; installed: {', '.join(sorted(installed))}"
            )
    return [_load(installed[name]) for name in (sorted(installed) if enabled is None else enabled)]


def _load(entry: EntryPoint) -> Plugin[Any]:
    try:
        plugin = entry.load()
    except (ImportError, AttributeError) as error:
        raise PluginError(f"plugin {entry.name!r} ({entry.value}) cannot be imported: {error}") from error
    if not (inspect.isclass(plugin) and issubclass(plugin, Plugin)):
        raise PluginError(f"plugin {entry.name!r} ({entry.value}) is not a Plugin class")
    return plugin()


def migrations_of(name: str) -> Path | None:
    """Find the branch of a plugin that is installed, enabled or not."""
    try:
        return discover([name])[0].migrations
    except PluginError:  # not installed, or not usable: whoever asks has a better message
        return None


def versions() -> Mapping[str, str]:
    """Return the versions of all installed plugins, and of the core as `core`."""
    installed = {entry.name: entry.dist.version for entry in entry_points(group=GROUP) if entry.dist}
    return {"core": version("corekit"), **installed}


def order(plugins: Iterable[Plugin[Any]], built_in: Iterable[Any]) -> list[Plugin[Any]]:
    """Sort plugins so that each comes after what it requires and wants.

    Raises:
        PluginError: two of one name, a capability provided twice or by nobody, or a circle; it names the plugins.

    """
    by_name = _by_name(plugins)
    providers: dict[Any, str] = {}
    for plugin in by_name.values():
        for contract in plugin.provides:
            if other := providers.get(contract):
                raise PluginError(f"{contract.__name__} is provided twice: by {other} and by {plugin.name}")
            providers[contract] = plugin.name
    graph: dict[str, list[str]] = {name: [] for name in by_name}  # no sets: the order must not change between starts
    for plugin in by_name.values():
        for contract in (*plugin.requires, *plugin.wants):
            if contract in providers:
                graph[plugin.name].append(providers[contract])
            elif contract in plugin.requires and contract not in built_in:
                raise PluginError(
                    f"plugin {plugin.name} requires {contract.__name__}, which no enabled plugin provides"
                )
    try:
        return [by_name[name] for name in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        raise PluginError(f"plugins require each other in a circle: {' → '.join(error.args[1])}") from None


def _by_name(plugins: Iterable[Plugin[Any]]) -> dict[str, Plugin[Any]]:
    found: dict[str, Plugin[Any]] = {}
    for plugin in plugins:
        if not _NAME.fullmatch(getattr(plugin, "name", "")):
            raise PluginError(f"{type(plugin).__qualname__} needs a `name`: lower-case letters, digits and _")
        if found.setdefault(plugin.name, plugin) is not plugin:
            raise PluginError(f"two plugins are called {plugin.name!r}")
    return found


class Bearer(Protocol):
    """Who has marked methods: a plugin, or a part of the core."""

    name: ClassVar[str]
    """What the handlers' names begin with."""


def handlers_of(plugins: Iterable[Bearer]) -> Handlers:
    """Collect every listener, job and schedule of the plugins."""
    found = Handlers()
    for plugin in plugins:
        for name, function in inspect.getmembers(type(plugin), inspect.isfunction):
            call, listener = getattr(plugin, name), f"{plugin.name}.{name}"
            if event := listened(function):
                _demand_async(function, listener)
                found.listeners.setdefault(tag_of(event), []).append(Handler(listener, call, event, plugin.name))
            elif mark := marked(function):
                _demand_async(function, listener)
                if mark.tag in found.jobs:
                    raise PluginError(f"job tag {mark.tag!r} is used by {found.jobs[mark.tag].listener} and {listener}")
                if mark.schedule is not None:
                    call = _without_payload(call)
                    found.schedules.append(mark.schedule)
                found.jobs[mark.tag] = Handler(
                    listener,
                    call,
                    _payload_type(function),
                    mark.purpose or plugin.name,
                    mark.network,
                    mark.attempts,
                    mark.timeout,
                )
    return found


def purposes_of(plugins: Iterable[Plugin[Any]], core: Mapping[str, str]) -> Mapping[str, str]:
    """Collect what is elevated for, by the core and by each plugin below its own name.

    Raises:
        PluginError: a plugin declares a purpose under a name that is not its own.

    """
    declared = dict(core)
    for plugin in plugins:
        declared[plugin.name] = f"Jobs and listeners of {plugin.name}."
        for purpose, sentence in plugin.purposes.items():
            if purpose != plugin.name and not purpose.startswith(f"{plugin.name}."):
                raise PluginError(f"plugin {plugin.name}: purpose {purpose!r} must begin with '{plugin.name}.'")
            declared[purpose] = sentence
    return declared


def known_tags(handlers: Handlers) -> frozenset[str]:
    """Name every event and job that this process has code for."""
    return frozenset(handlers.jobs) | frozenset(handlers.listeners) | frozenset(_tags(Event))


def _tags(event: type[Event]) -> Iterable[str]:
    for subclass in event.__subclasses__():
        if isinstance(subclass.__struct_config__.tag, str):
            yield subclass.__struct_config__.tag
        yield from _tags(subclass)


def _demand_async(function: Any, listener: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise PluginError(f"{listener} must be an async method")


def _without_payload(call: Callable[[Any], Awaitable[None]]) -> Callable[[Any, Any], Awaitable[None]]:
    return lambda given, _: call(given)


def _payload_type(function: Any) -> Any:
    hints = get_type_hints(function)
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    return hints.get(names[1], Any) if len(names) > 1 else Any
