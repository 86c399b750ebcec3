"""`corekit auth keys list | generate | import | rotate | retire | issue`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, Literal
from uuid import UUID

import click

from corekit.cli.options import configuration
from corekit.context import Context
from corekit_auth.commands.work import Options, work
from corekit_auth.errors import KeyNotFound
from corekit_auth.key_ring import Imported, KeyRing, Rotation, SigningKey
from corekit_auth.purposes import KEYS
from corekit_auth.service_keys import Issued, ServiceKey, ServiceKeys
from corekit_auth.settings import AuthSettings

_DAYS_MAX = 3650


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command, and hand them on as one."""

    @configuration
    @wraps(command)
    def with_options(
        *, path: Path | None, env: str | None, database: str | None, data_dir: Path | None, **rest: Any
    ) -> None:
        command((path, env, database, data_dir), **rest)

    return with_options


@click.group()
def keys() -> None:
    """Look after the keys that sign access tokens, and those that services show.

    Running servers follow within a second. (The keys that encrypt what is stored are `corekit keyring`.)
    """


@keys.command("list")
@configured
def list_(options: Options) -> None:
    """List signing keys and service keys, oldest first; never a secret."""

    async def verb(ctx: Context, settings: AuthSettings) -> tuple[Sequence[SigningKey], Sequence[ServiceKey], datetime]:
        return await KeyRing(settings).all(ctx), await ServiceKeys(ctx.kit).all(ctx), ctx.now()

    signing, service, now = work(options, KEYS, verb, readonly=True)
    click.echo("signing keys")
    _table(("kid", "alg", "state", "since"), [(key.kid, key.alg, key.state, _time(key.since)) for key in signing])
    click.echo("\nservice keys")
    _table(
        ("id", "role", "state", "expires", "last used", "name"),
        [
            (str(key.id), key.role, key.state(now), _time(key.expires_at), _time(key.last_used_at), key.name)
            for key in service
        ],
    )


@keys.command()
@click.option("--alg", type=click.Choice(["ES256", "RS256"]), default="ES256", show_default=True)
@configured
def generate(options: Options, alg: Literal["ES256", "RS256"]) -> None:
    """Make the next signing key and publish it; `rotate` lets it sign."""

    async def verb(ctx: Context, settings: AuthSettings) -> SigningKey:
        return await KeyRing(settings).generate(ctx, alg)

    click.echo(f"{work(options, KEYS, verb).kid} is published and will sign next")


@keys.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--next", "as_next", is_flag=True, help="Let the keys sign next; otherwise they verify alone.")
@configured
def import_(options: Options, file: BinaryIO, *, as_next: bool) -> None:
    """Take keys from FILE (a JWKS, a JWK or PEM; - is stdin): RS256, ES256, HS256.

    Tokens that they have signed are accepted from then on, if `[auth] issuer` is the one that those tokens name. A key
    for HS256 is never published.
    """
    raw = file.read((1 << 20) + 1)

    async def verb(ctx: Context, settings: AuthSettings) -> Sequence[Imported]:
        return await KeyRing(settings).import_(ctx, raw, as_next=as_next)

    for key in work(options, KEYS, verb):
        click.echo(f"{key.kid} ({key.alg}): {key.state}{'' if key.new else ', was here already'}")


@keys.command()
@configured
def rotate(options: Options) -> None:
    """Let the next key sign, once it was published for `rotation_lead`; otherwise publish it and say when.

    The old key verifies until its last token has ended. A daily job does the same for a key older than `key_age`.
    """

    async def verb(ctx: Context, settings: AuthSettings) -> Rotation:
        return await KeyRing(settings).rotate(ctx)

    done = work(options, KEYS, verb)
    if done.rotated:
        click.echo(f"{done.signing} signs from now on")
    else:
        click.echo(f"{done.next} is published; it may sign from {_time(done.due)} on: run this again then")


@keys.command()
@click.argument("key")
@configured
def retire(options: Options, key: str) -> None:
    """Refuse KEY from now on: the kid of a signing key, or the id of a service key.

    All tokens of a retired signing key are refused and clients refresh. If it is the one that signs, the next one takes
    its place at once.
    """

    async def verb(ctx: Context, settings: AuthSettings) -> str:
        try:
            await KeyRing(settings).retire(ctx, key)
        except KeyNotFound:
            await ServiceKeys(ctx.kit).revoke(ctx, _id(key))
            return "revoked"
        return "retired"

    click.echo(f"{key} is {work(options, KEYS, verb)}")


@keys.command()
@click.option("--role", default="service_role", show_default=True, help="What the key is on /auth/v1.")
@click.option("--days", type=click.IntRange(1, _DAYS_MAX), default=90, show_default=True, help="How long it is good.")
@click.option("--name", help="Who has it; shown in lists [the role].")
@configured
def issue(options: Options, role: str, days: int, name: str | None) -> None:
    """Issue a service key and show it, this once: only its HMAC is kept. The key alone is on stdout."""

    async def verb(ctx: Context, _: AuthSettings) -> Issued:
        life = timedelta(days=days)
        return await ServiceKeys(ctx.kit).issue(ctx, role=role, name=name or role, life=life)

    issued = work(options, KEYS, verb)
    click.echo(f"service key {issued.key.id}, good until {_time(issued.key.expires_at)}; shown this once:", err=True)
    click.echo(issued.text)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise KeyNotFound(f"there is no key {text}") from None


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment is not None else "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
