"""`corekit migrate up | down | status | check | remove | roles`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from corekit.assembly import migrations_of
from corekit.cli.options import configuration, load, run
from corekit.data.roles import apply, for_settings
from corekit.data.schema import CORE, Schema, Status
from corekit.errors import ConfigError, SchemaError
from corekit.kit import Corekit

R = TypeVar("R")


@click.group()
def migrate() -> None:
    """Bring the database's schema to where this code wants it."""


@migrate.command()
@configuration
def up(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Apply everything that is pending, of the core and of all enabled plugins."""
    _show(_on(_kit(path, env, database, data_dir), lambda schema: schema.up()))


@migrate.command()
@click.argument("target")
@click.option("--yes", is_flag=True, help="Yes, undo it, with everything in it.")
@click.option("--yes-drop-everything", is_flag=True, help="For `down core`: yes, drop every table of every plugin.")
@configuration
def down(
    target: str,
    yes: bool,
    yes_drop_everything: bool,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Take an enabled plugin back: TARGET is a revision, what came after it is undone, or the plugin's name for all."""
    kit = _kit(path, env, database, data_dir)
    revisions = kit.schema.revisions
    if target not in {*revisions.heads, *revisions.scripts}:
        raise click.UsageError(f"{target!r} is no revision, and no enabled plugin with tables is called so")
    if target == CORE:
        if kit.env not in {"dev", "staging"}:
            raise ConfigError(f"`corekit migrate down core` drops every table; it is refused in {kit.env}")
        if not yes_drop_everything:
            raise click.UsageError("this drops every table of every plugin; say --yes-drop-everything if you mean it")
    elif not yes:
        raise click.UsageError(f"this drops what {target} names, with its rows; say --yes if you mean it")
    where = f"{target}@base" if target in revisions.heads else target
    _show(_on(kit, lambda schema: schema.down(where, dependants=target == CORE)))


@migrate.command()
@click.argument("plugin")
@click.option("--yes", is_flag=True, help="Yes, drop its tables and everything in them.")
@configuration
def remove(
    plugin: str, yes: bool, path: Path | None, env: str | None, database: str | None, data_dir: Path | None
) -> None:
    """Take an installed plugin's tables away, enabled or not, with everything in them: before it is uninstalled."""
    kit = _kit(path, env, database, data_dir)
    if plugin == CORE:
        raise click.UsageError("the core cannot be removed; `corekit migrate down core` drops everything")
    found = _on(kit, lambda schema: schema.status())
    if not (plugin in {*found.branches, *found.disabled} or migrations_of(plugin)):
        if any(stranger.plugin == plugin for stranger in found.strangers):
            raise SchemaError(found.refusal(strict=True))
        raise click.UsageError(f"no installed plugin with tables is called {plugin!r}")
    if not yes:
        raise click.UsageError(f"this drops every table of {plugin} with its rows; say --yes if you mean it")
    if plugin in found.disabled or found.branches.get(plugin, (None,))[0]:
        found = _on(kit, lambda schema: schema.down(f"{plugin}@base"))
    _show(found)
    click.echo(
        f"{plugin} has no tables here; take it off [kit] plugins and uninstall it, or the next `up` makes them again"
    )


@migrate.command()
@configuration
def status(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Show each branch: where the database is, and where this code wants it. Exit 3 if they differ."""
    found = _on(_kit(path, env, database, data_dir), lambda schema: schema.status())
    _show(found)
    if found.pending or found.refusal(strict=False):
        pending, unknown = (", ".join(names) or "none" for names in (found.pending, found.unknown))
        raise SchemaError(f"pending: {pending}; unknown: {unknown}")


@migrate.command()
@configuration
def check(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Find revisions that break the release before them, and tables that differ from the models. Exit 3 if any."""
    found = _on(_kit(path, env, database, data_dir), lambda schema: schema.check())
    for line in found:
        click.echo(line)
    if found:
        raise SchemaError(f"{len(found)} found")
    click.echo("revisions and tables are as they should be")


@migrate.command()
@click.option("--apply", "admin", metavar="URL", help="Run them as this administrator instead of printing them.")
@configuration
def roles(admin: str | None, path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Print the SQL that makes PostgreSQL's four roles for this database, for an administrator to run.

    The names are those in the URLs of [database], where these differ, otherwise corekit_owner, corekit_app and
    corekit_service. With --apply, the passwords in the URLs are set too.
    """
    settings = _kit(path, env, database, data_dir).database.settings
    if not settings.url.startswith("postgres"):
        raise ConfigError("roles are PostgreSQL's: [database] url is not a postgresql:// URL")
    statements = for_settings(settings)
    if admin is None:
        click.echo("\n".join(f"{statement};" for statement in statements))
        return
    run(apply(settings, admin))
    click.echo(f"{len(statements)} statements applied; now run `corekit migrate up`")


def _kit(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> Corekit:
    return Corekit.load(load(path, env, database, data_dir))


def _on(kit: Corekit, work: Callable[[Schema], Awaitable[R]]) -> R:
    async def main() -> R:
        async with kit.database:
            return await work(kit.schema)

    return run(main())


def _show(found: Status) -> None:
    for name, (current, head) in found.branches.items():
        click.echo(f"{name:<16} {current or '-':<16} {'up to date' if current == head else f'→ {head}'}")
    for name, current in found.disabled.items():
        click.echo(f"{name:<16} {current:<16} not enabled")
    for stranger in found.strangers:
        mark = f", marked {stranger.phase}" if stranger.phase else ""
        click.echo(f"{stranger.plugin:<16} {stranger.revision:<16} not known to this code{mark}")
