"""Commands that plugins bring: `corekit <plugin> …`."""

from importlib.metadata import entry_points

import click

from corekit.assembly import GROUP, discover
from corekit.errors import PluginError


class Commands(click.Group):
    """The core's commands, and behind them one group per installed plugin that has some; the core's names win."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all; a plugin that cannot be imported has none here, and says why when it is asked."""
        return sorted({*super().list_commands(ctx), *filter(_has_some, _installed())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find one; only the plugin of this name is imported.

        Raises:
            PluginError: there is such a plugin, and it cannot be imported.

        """
        return super().get_command(ctx, cmd_name) or (group(cmd_name) if cmd_name in _installed() else None)


def group(name: str) -> click.Group | None:
    """Make the group of an installed plugin; None where it has no commands."""
    (plugin,) = discover([name])
    commands = plugin.commands()
    if not commands:
        return None
    what = next(iter((type(plugin).__doc__ or "").strip().splitlines()), "")
    return click.Group(name, commands=commands, help=what)


def _installed() -> list[str]:
    return [entry.name for entry in entry_points(group=GROUP)]


def _has_some(name: str) -> bool:
    try:
        return group(name) is not None
    except PluginError:
        return False
