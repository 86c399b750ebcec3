"""`corekit auth user create | ban | logout`."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import click
from msgspec import UNSET

from corekit.context import Caller, Context
from corekit.kit import Corekit
from corekit_auth.admin import Admin
from corekit_auth.closing import Closing
from corekit_auth.commands.keys import configured
from corekit_auth.commands.work import Options, at
from corekit_auth.drafts import AccountDraft, account_id
from corekit_auth.errors import NoSuchUser
from corekit_auth.hashing import Hasher
from corekit_auth.keys import Keys
from corekit_auth.parts import Parts
from corekit_auth.plugin import AuthPlugin
from corekit_auth.purposes import ADMIN
from corekit_auth.revocations import Revocations
from corekit_auth.users import normal_email

T = TypeVar("T")


@click.group()
def user() -> None:
    """Make an account, ban it, or sign it out everywhere. WHO is its id or its e-mail address."""


@user.command()
@click.argument("email")
@click.option("--role", help="What the account is on /auth/v1 [`auth.role`]; service_role is an administrator.")
@click.option("--password", "ask", is_flag=True, help="Ask for a password; without one, nobody can sign in with any.")
@click.option("--unconfirmed", is_flag=True, help="Do not count the address as confirmed.")
@configured
def create(options: Options, email: str, role: str | None, *, ask: bool, unconfirmed: bool) -> None:
    """Make an account with EMAIL; nothing is sent to it. Its id alone is on stdout."""
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True) if ask else None
    draft = AccountDraft(email=email, role=role, password=password, email_confirm=not unconfirmed)

    async def verb(caller: Caller, parts: Parts) -> UUID:
        return (await Admin(parts, Closing(parts)).create_user(caller, draft)).id

    click.echo(str(_work(options, verb)))


@user.command()
@click.argument("who")
@click.option("--for", "duration", default="24h", show_default=True, help="How long, as in 45m or 720h.")
@click.option("--lift", is_flag=True, help="End the ban.")
@configured
def ban(options: Options, who: str, duration: str, *, lift: bool) -> None:
    """Ban WHO for a time, which ends their sessions; running servers refuse their tokens within a second."""
    draft = AccountDraft(ban_duration="none" if lift else duration)

    async def verb(caller: Caller, parts: Parts) -> str:
        until = draft.banned_until(caller.kit.clock.now())
        async with caller.begin() as ctx:
            await Closing(parts).ban(ctx, await _found(ctx, parts, who), until if until is not UNSET else None)
        return "is not banned" if not until else f"is banned until {until:%Y-%m-%dT%H:%M:%SZ}"

    click.echo(f"{who} {_work(options, verb)}")


@user.command()
@click.argument("who")
@configured
def logout(options: Options, who: str) -> None:
    """End all sessions of WHO; running servers refuse their tokens within a second."""

    async def verb(caller: Caller, parts: Parts) -> None:
        async with caller.begin() as ctx:
            await Admin(parts, Closing(parts)).sign_out(ctx, await _found(ctx, parts, who))

    _work(options, verb)
    click.echo(f"{who} is signed out everywhere")


async def _found(ctx: Context, parts: Parts, who: str) -> UUID:
    if "@" not in who:
        return account_id(who, "WHO")
    row = await parts.users.by_email(ctx, normal_email(who))
    if row is None:
        raise NoSuchUser
    return row.id


def _work(options: Options, verb: Callable[[Caller, Parts], Awaitable[T]]) -> T:
    """Do `verb` with what the nouns of auth are made of; what it refuses is a ConfigError."""

    async def done(kit: Corekit, plugin: AuthPlugin) -> T:
        settings, hasher = plugin.settings, Hasher(plugin.settings)
        try:
            keys, revocations = await Keys.load(kit), Revocations(kit, settings)
            parts = Parts.of(
                kit, settings, keys=keys, hasher=hasher, revocations=revocations, send_code=plugin.send_code
            )
            try:
                return await verb(kit.caller().system(ADMIN), parts)
            finally:
                await parts.rules.close()
        finally:
            hasher.close()

    return at(options, done)
