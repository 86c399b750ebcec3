"""`corekit auth user …`, as an operator runs it."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from corekit import Client, Corekit
from corekit.cli.main import cli
from corekit.errors import ConfigError
from corekit_auth.errors import BannedAtSignIn, EmailNotConfirmed
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
Run = Callable[..., Result]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The commands do alike on each database."""
    return sqlite_url


@pytest.fixture
async def run(kit: Corekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command beside the kit of a test, on the same database and keyring."""
    import asyncio  # noqa: PLC0415

    (tmp_path / "corekit.toml").write_text('[kit]\nplugins = ["auth"]\n', "utf-8")
    monkeypatch.chdir(tmp_path)

    async def go(*arguments: str, given: str = "") -> Result:
        place = ["--database", kit.database.settings.url, "--data-dir", str(tmp_path)]
        work = lambda: CliRunner().invoke(cli, ["auth", "user", *arguments, *place], input=given)  # noqa: E731
        return await asyncio.to_thread(work)

    return go


async def test_making_banning_signing_out(run: Run, kit: Corekit, service: AuthService) -> None:
    made = await run("create", "Ann@example.org", "--password", "--role", "editor", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    user_id = UUID(made.stdout.strip().splitlines()[-1])
    caller = kit.caller(client=Client("192.0.2.1", "pytest"))
    grant = await service.grant_by_password(caller, ANN, PASSWORD)
    assert (grant.session.user.id, grant.session.user.role) == (user_id, "editor")
    out = await run("logout", str(user_id))
    assert (out.exit_code, out.stdout) == (0, f"{user_id} is signed out everywhere\n")
    async with kit.caller().begin(readonly=True) as ctx:
        assert await service.sessions(ctx, user_id) == []
    banned = await run("ban", ANN, "--for", "87600h")  # longer than the clock of a test is ahead
    assert banned.stdout.startswith(f"{ANN} is banned until 20")
    with pytest.raises(BannedAtSignIn):
        await service.grant_by_password(caller, ANN, PASSWORD)
    assert (await run("ban", ANN, "--lift")).stdout == f"{ANN} is not banned\n"
    await service.grant_by_password(caller, ANN, PASSWORD)


async def test_an_address_that_is_not_confirmed(run: Run, kit: Corekit, service: AuthService) -> None:
    made = await run("create", ANN, "--unconfirmed", "--password", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    with pytest.raises(EmailNotConfirmed):
        await service.grant_by_password(kit.caller(), ANN, PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["logout", "bob@example.org"], "User not found"),
        (["logout", "7"], "WHO: must be a UUID or usr_…"),
        (["ban", "bob@example.org", "--for", "1 day"], "ban_duration: a positive duration"),
        (["create", "bob"], "email: Unable to validate email address"),
    ],
)
async def test_what_is_refused_says_why(run: Run, arguments: list[str], said: str) -> None:
    result = await run(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
