"""`corekit migrate up | down | status`."""

from pathlib import Path

import click

from corekit.cli.options import configuration, load, run
from corekit.data.schema import Status
from corekit.errors import SchemaError
from corekit.kit import Corekit


@click.group()
def migrate() -> None:
    """Bring the database's schema to where this code wants it."""


@migrate.command()
@configuration
def up(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Apply everything that is pending, of the core and of all enabled plugins."""
    _show(run(_up(_kit(path, env, database, data_dir))))


@migrate.command()
@click.argument("plugin")
@click.option("--yes", is_flag=True, help="Yes, drop its tables and everything in them.")
@configuration
def down(
    plugin: str, yes: bool, path: Path | None, env: str | None, database: str | None, data_dir: Path | None
) -> None:
    """Take one plugin's tables away, with everything in them."""
    kit = _kit(path, env, database, data_dir)
    if plugin not in {known.name for known in kit.plugins if known.migrations}:
        raise click.UsageError(f"no enabled plugin with tables is called {plugin!r}; the core goes with no command")
    if not yes:
        raise click.UsageError(f"this drops every table of {plugin} with its rows; say --yes if you mean it")
    _show(run(_down(kit, plugin)))


@migrate.command()
@configuration
def status(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Show each branch: where the database is, and where this code wants it. Exit 3 if they differ."""
    found = run(_status(_kit(path, env, database, data_dir)))
    _show(found)
    if found.pending or found.unknown:
        pending, unknown = (", ".join(names) or "none" for names in (found.pending, found.unknown))
        raise SchemaError(f"pending: {pending}; unknown: {unknown}")


def _kit(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> Corekit:
    return Corekit.load(load(path, env, database, data_dir))


async def _up(kit: Corekit) -> Status:
    async with kit.database:
        return await kit.schema.up()


async def _down(kit: Corekit, plugin: str) -> Status:
    async with kit.database:
        return await kit.schema.down(f"{plugin}@base")


async def _status(kit: Corekit) -> Status:
    async with kit.database:
        return await kit.schema.status()


def _show(found: Status) -> None:
    for name, (current, head) in sorted(found.branches.items()):
        click.echo(f"{name:<16} {current or '-':<16} {'up to date' if current == head else f'→ {head}'}")
    for revision in found.unknown:
        click.echo(f"{'?':<16} {revision:<16} not known to this code")
