"""`corekit mail`: what development kept is listed and shown."""

import subprocess
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from nursery import run_corekit  # beside this folder

from corekit import Corekit
from corekit.contracts.delivery import Mail, MailSender, Sent, Sms, SmsSender
from corekit.testing import FakeClock, make_kit

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def kit(database_url: str, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    settings = {"jobs": {"worker": False}}
    data_dir = tmp_path / "var"
    async with make_kit([], database=database_url, tmp_path=data_dir, settings=settings, clock=clock) as kit:
        yield kit


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Cli:

    (tmp_path / "corekit.toml").write_text("[kit]\nplugins = []\n")

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_corekit(tmp_path, "mail", *arguments, "--database", database_url)

    return cli


async def mail(kit: Corekit, to: str, subject: str, text: str = "Hello", html: str = "") -> str:
    outcome = await kit.get(MailSender).send(kit.caller(), Mail(to=to, subject=subject, text=text, html=html))
    assert isinstance(outcome, Sent)
    return outcome.id


async def test_list_shows_the_newest_first_and_picks_by_recipient(kit: Corekit, cli: Cli, clock: FakeClock) -> None:
    first = await mail(kit, "ann@example.org", "Your code")
    clock.move(1)
    await mail(kit, "bob@example.org", "Grüße")
    clock.move(1)
    await kit.get(SmsSender).send(kit.caller(), Sms(to="491701234567", text="It is\n654321"))
    listed = cli("list")
    assert listed.returncode == 0, listed.stderr
    sms, bob, ann = listed.stdout.splitlines()
    assert ann == f"{first}  {clock.now():%Y-%m-%dT%H:%M:}00Z  mail  ann@example.org  Your code"
    assert bob.endswith("  mail  bob@example.org  Grüße")
    assert sms.endswith("  sms   491701234567  It is 654321")
    assert cli("list", "--to", "Ann@example.org").stdout == f"{ann}\n"
    assert cli("list", "--to", "+491701234567").stdout == f"{sms}\n"
    limited = cli("list", "--limit", "1")
    assert (limited.stdout, "more with --limit" in limited.stderr) == (f"{sms}\n", True)


async def test_show_prints_one_and_its_html(kit: Corekit, cli: Cli) -> None:
    rich = await mail(kit, "ann@example.org", "Code", "It is 123456.\n\x1b[2J", "<b>123456</b>")
    plain = await mail(kit, "ann@example.org", "Plain")
    shown = cli("show", rich)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("To: ann@example.org\nWhen: ")
    assert "\nSubject: Code\nHTML: yes, see it with --html\n\nIt is 123456.\n" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert cli("show", rich, "--html").stdout == "<b>123456</b>\n"
    assert "HTML" not in cli("show", plain).stdout
    assert (cli("show", plain, "--html").returncode, cli("show", "7").returncode) == (2, 2)
    unknown = cli("show", str(uuid4()))
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "`corekit mail list` shows what is" in unknown.stderr


async def test_an_empty_list_says_where_mail_goes(kit: Corekit, cli: Cli) -> None:
    nothing = cli("list")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert 'nothing is kept; in dev the transport of mail is "outbox", of SMS "outbox"' in nothing.stderr
    assert "nothing is kept for that recipient; " in cli("list", "--to", "eve@example.org").stderr


def test_help_says_what_to_give(cli: Cli) -> None:
    assert "phone number" in cli("list", "--help").stdout
    assert "message_id" in cli("show", "--help").stdout
