"""`corekit auth import-supabase FILE`."""

from pathlib import Path
from typing import BinaryIO

import click

from corekit.context import Context
from corekit.kit import Corekit
from corekit_auth.commands.keys import configured
from corekit_auth.commands.work import Options, at, work
from corekit_auth.importing import Importing, Report
from corekit_auth.key_ring import KeyRing
from corekit_auth.plugin import AuthPlugin
from corekit_auth.purposes import KEYS
from corekit_auth.settings import AuthSettings

_SHOWN = 50


@click.command("import-supabase")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys", "key_file", type=click.File("rb"), help="A JWKS with the project's keys: live tokens stay good."
)
@click.option("--db-key", envvar="COREKIT_SUPABASE_DB_KEY", help="The key with which the project encrypts secrets.")
@click.option(
    "--legacy-refresh", is_flag=True, help="Take sessions with refresh tokens of version 1 (12 characters), too."
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@configured
def import_supabase(
    options: Options,
    file: Path,
    key_file: BinaryIO | None,
    db_key: str | None,
    *,
    legacy_refresh: bool,
    dry_run: bool,
) -> None:
    """Take over the accounts of a Supabase project from FILE, a plain dump of its schema `auth`.

    People with their password hashes, identities, second factors, sessions and passkeys. It can be repeated: what is
    there already stays as it is. Each row that is not taken is named, with its reason.
    """
    raw = key_file.read() if key_file is not None else None

    async def verb(kit: Corekit, _: AuthPlugin) -> Report:
        importing = Importing(
            kit.caller(),
            file,
            db_key=db_key,
            legacy_refresh=legacy_refresh,
            say=lambda line: click.echo(line, err=True),
        )
        return await importing.run(dry=dry_run)

    report = at(options, verb)
    if raw is not None and not dry_run:

        async def keys(ctx: Context, settings: AuthSettings) -> int:
            return len(await KeyRing(settings).import_(ctx, raw))

        click.echo(f"keys: {work(options, KEYS, keys)} taken")
    _print(report, dry=dry_run)


def _print(report: Report, *, dry: bool) -> None:
    for table, read in sorted(report.read.items()):
        skipped = sum(1 for one, _, _ in report.skipped if one == table)
        there = f"{report.taken[table]} taken, {report.known[table]} there already, " if not dry else ""
        click.echo(f"{table}: {read} read, {there}{skipped} skipped")
    for table, row, reason in report.skipped[:_SHOWN]:
        click.echo(f"skipped {table} {row}: {reason}")
    if len(report.skipped) > _SHOWN:
        click.echo(f"… and {len(report.skipped) - _SHOWN} more")
