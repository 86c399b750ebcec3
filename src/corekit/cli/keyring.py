"""`corekit keyring status | rotate | drop`."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from sqlalchemy.orm import registry

from corekit.built_in import KEYRING_PURPOSE
from corekit.cli.audit import record
from corekit.cli.options import configuration, load, run
from corekit.data import Base
from corekit.data.crypto import keyfile
from corekit.data.crypto.rotation import Count, count, steps
from corekit.errors import ConfigError
from corekit.kit import Corekit

_PAUSE = 0.02  # seconds between batches, in which a server on the same SQLite file gets the writing slot


@click.group()
def keyring() -> None:
    """Look after the keys that encrypt what is stored."""


@keyring.command()
@configuration
def status(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Count per key what is under it, and say which may go. Exit 2 if a key is missing."""
    kit = _kit(path, env, database, data_dir)
    found = run(_status(kit))
    click.echo(f"{'key':<20} {'keys':>9} {'values':>9}")
    for name in sorted({*kit.keyring.names, *found}, key=lambda name: (name != kit.keyring.active, name)):
        keys, values = found.get(name, Count())
        click.echo(f"{name:<20} {keys:>9} {values:>9}  {_state(kit, name, found)}")
    if missing := sorted(set(found) - kit.keyring.names):
        raise ConfigError(f"the keyring lacks {', '.join(missing)}: what is under it cannot be read; put it back")


@keyring.command()
@configuration
def rotate(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Bring everything under the active key, while servers run.

    In dev this makes a new active key first. Elsewhere you name it in the settings: add it to `keys` and restart every
    server, then make it `active` and restart again, then run this.
    """
    kit = _kit(path, env, database, data_dir)
    if kit.keyring.file is not None:
        click.echo(f"made the key {keyfile.add(kit.keyring.file)}, active from now on")
        kit.load_keyring()
    if failed := run(_rotate(kit, click.echo)):
        raise ConfigError(f"{failed} could not be opened and were left as they are; see `corekit keyring status`")
    click.echo(f"everything that opens is under {kit.keyring.active}")


@keyring.command()
@click.argument("key")
@configuration
def drop(key: str, path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Take an old key, under which nothing is left, out of the keyring of dev."""
    kit = _kit(path, env, database, data_dir)
    if kit.keyring.file is None:
        raise click.UsageError(f"the keyring comes from the settings; when {key} is removable, take it out there")
    if key == kit.keyring.active or key not in kit.keyring.names:
        raise click.UsageError(f"{key!r} is no old key of {kit.keyring.file}")
    _demand_unused(key, run(_status(kit)))
    taken = keyfile.drop(kit.keyring.file, key)
    try:
        _demand_unused(key, run(_status(kit)))  # a server may have used it until this moment
    except ConfigError:
        keyfile.put_back(kit.keyring.file, key, taken)
        raise
    click.echo(f"{key} is gone; copies of the database from before the rotation cannot be read without it")


def _kit(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> Corekit:
    kit = Corekit.load(load(path, env, database, data_dir))
    kit.load_keyring()
    return kit


def _state(kit: Corekit, name: str, found: Mapping[str, Count]) -> str:
    if name == kit.keyring.active:
        return "active"
    if name not in kit.keyring.names:
        return "missing: put it back"
    return "old: run `corekit keyring rotate`" if name in found else "old, removable"


def _demand_unused(key: str, found: Mapping[str, Count]) -> None:
    if key in found:
        keys, values = found[key]
        raise ConfigError(f"{keys} keys and {values} values are under {key}; run `corekit keyring rotate` first")


async def _status(kit: Corekit) -> Mapping[str, Count]:
    async with kit.database:
        await kit.schema.demand_current()
        async with kit.caller().system(KEYRING_PURPOSE).begin(readonly=True) as ctx:
            return await count(ctx.session)


async def _rotate(kit: Corekit, say: Callable[[str], None]) -> int:
    async with kit.database:
        await kit.schema.demand_current()
        failed = await rotating(kit, say)
        async with kit.caller().system(KEYRING_PURPOSE).begin() as ctx:
            await record(ctx, "keyring.rotated", {"active": kit.keyring.active, "failed": failed})
        return failed


async def rotating(kit: Corekit, say: Callable[[str], None], tables: registry = Base.registry) -> int:
    """Take every step to its end, a transaction per batch; return how many could not be opened."""
    caller, failed = kit.caller().system(KEYRING_PURPOSE), 0
    async with caller.begin(readonly=True) as ctx:
        todo = await steps(ctx.session, kit.keyring, tables)
    for name, step in todo.items():
        done, after, more = 0, None, True
        while more:
            async with caller.begin() as ctx:
                batch = await step(ctx.session, after)
            done, failed, after = done + batch.done, failed + batch.failed, batch.last
            more = after is not None
            if more or done:
                say(f"{name}: {done}{' …' if more else ''}")
            await asyncio.sleep(_PAUSE)
    return failed
