"""`corekit mail list | show`: what the development sink kept instead of sending it."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click

from corekit.cli.options import configuration, load, run
from corekit.context import Context
from corekit.delivery import PURPOSE, MailSettings, SentMessage, SmsSettings, sent, sent_one
from corekit.kit import Corekit

T = TypeVar("T")
_CONTROL = re.compile(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # what could move a terminal's cursor


@click.group()
def mail() -> None:
    """Look at mail and SMS that were kept instead of sent, which is what environment dev does with them.

    The newest 1,000 of the last 7 days are kept.
    """


@mail.command("list")
@click.option("--to", metavar="ADDRESS", help="To this e-mail address or phone number, whole.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@configuration
def list_(
    to: str | None, limit: int, path: Path | None, env: str | None, database: str | None, data_dir: Path | None
) -> None:
    """List mail and SMS, the newest first: id, time, mail or sms, recipient, subject or text."""
    kit = Corekit.load(load(path, env, database, data_dir))
    found = run(_with(kit, lambda ctx: sent(ctx, to=to, limit=limit)))
    for message in found:
        click.echo(_line(message))
    if not found:
        click.echo(f"# nothing is kept{' for that recipient' if to else ''}; {_carriers(kit)}", err=True)
    elif len(found) == limit:
        click.echo(f"# the newest {limit}; more with --limit", err=True)


@mail.command()
@click.argument("id_", metavar="ID", type=click.UUID)
@click.option("--html", is_flag=True, help="Print the HTML, and nothing else.")
@configuration
def show(
    id_: UUID, path: Path | None, env: str | None, database: str | None, data_dir: Path | None, *, html: bool
) -> None:
    """Print one mail or SMS. ID is what `corekit mail list` and the log (`message_id`) name it by."""
    kit = Corekit.load(load(path, env, database, data_dir))
    message = run(_with(kit, lambda ctx: sent_one(ctx, id_)))
    if message is None:
        raise click.UsageError(f"nothing is kept as {id_}; `corekit mail list` shows what is")
    if html and not message.html:
        raise click.UsageError(f"{id_} has no HTML")
    click.echo(message.html if html else _page(message))


async def _with(kit: Corekit, do: Callable[[Context], Awaitable[T]]) -> T:
    kit.load_keyring()
    async with kit.database:
        await kit.schema.demand_current()
        async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
            return await do(ctx)


def _carriers(kit: Corekit) -> str:
    mail_by = kit.config.table("mail", MailSettings).chosen(kit.env)
    sms_by = kit.config.table("sms", SmsSettings).chosen(kit.env)
    return f'in {kit.env} the transport of mail is "{mail_by}", of SMS "{sms_by}"; only "outbox" keeps them'


def _line(message: SentMessage) -> str:
    what = " ".join(_plain(message.subject or message.text).split())[:80]
    return f"{message.id}  {message.created_at:%Y-%m-%dT%H:%M:%SZ}  {message.medium:<4}  {message.to}  {what}"


def _page(message: SentMessage) -> str:
    head = {
        "To": message.to,
        "When": f"{message.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "Kind": message.kind,
        "Locale": message.locale,
        "Subject": message.subject,
        "HTML": "yes, see it with --html" if message.html else "",
    }
    lines = [f"{name}: {value}" for name, value in head.items() if value]
    return "\n".join([*lines, "", _plain(message.text)])


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)
