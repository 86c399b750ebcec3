"""`corekit payments …`, as an operator runs it beside a server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from generous import GENEROUS

from corekit.cli.main import cli
from corekit.context import Actor
from corekit.contracts.payments import NewPayment, Payment, Payments, TokenMethod
from corekit.data import DatabaseSettings
from corekit.errors import ConfigError
from corekit.testing import FakeClock, make_kit, serve, settle
from corekit.values import Money
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.sandbox import Journal, journal_of

ALICE = Actor("alice")
Run = Callable[..., Awaitable[Result]]
QUIET = {"jobs": {"worker": False}}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The commands do alike on each database."""
    return sqlite_url


@pytest.fixture
def run(database: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "corekit.toml").write_text('[kit]\nplugins = ["payments"]\n', "utf-8")
    monkeypatch.chdir(tmp_path)

    async def go(*arguments: str) -> Result:
        place = ["--database", database.url, "--data-dir", str(tmp_path)]
        return await asyncio.to_thread(CliRunner().invoke, cli, ["payments", *arguments, *place])

    return go


async def pay(payments: Payments, kit: object, token: str) -> Payment:
    new = NewPayment(amount=Money(1250, "INR"), method=TokenMethod(token=token), confirm=True)
    async with kit.caller(ALICE).system("payments").begin() as ctx:  # type: ignore[attr-defined]
        made = await payments.create(ctx, new)
    return await payments.drive(kit.caller(ALICE), made.id)  # type: ignore[attr-defined]


async def test_an_operator_sees_payments_and_the_journal_and_decides(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, run: Run
) -> None:
    plugin = PaymentsPlugin(PaymentsSettings(sweep=False, fraud=GENEROUS))
    async with make_kit([plugin], database=database, tmp_path=tmp_path, clock=clock, settings=QUIET) as kit:
        payments = kit.get(Payments)
        assert "there are none" in (await run("list")).stderr
        paid, asked = await pay(payments, kit, "tok_ok"), await pay(payments, kit, "tok_3ds")
        listed = (await run("list")).stdout.splitlines()
        assert [line.split()[0] for line in listed] == [asked.id, paid.id]
        assert (await run("list", "--status", "succeeded")).stdout.split() == listed[1].split()
        assert listed[1].split()[-5:] == ["succeeded", "1250", "INR", "1250", "0"]

        shown = await run("show", asked.id)
        assert shown.exit_code == 0, shown.output
        operation = msgspec.json.decode(shown.stdout)["operations"][0]
        assert operation["state"] == "requires_action"
        assert "redirect" not in shown.stdout  # what the payer has to do is the payer's
        decided = await run("sandbox", "decide", operation["provider_ref"], "approve")
        assert decided.exit_code == 0, decided.output
        assert (await run("sandbox", "decide", operation["provider_ref"], "approve")).exit_code == 2
        effects = [
            msgspec.json.decode(line) for line in (await run("sandbox", "journal", "--json")).stdout.splitlines()
        ]
        assert [one["kind"] for one in effects] == ["authorize", "capture"] * 2
        books = await run("ledger")
        assert books.exit_code == 0, books.output
        assert [line.split()[0] for line in books.stdout.splitlines()] == ["clearing:sandbox", "payable:merchant"]
        assert books.stdout.splitlines()[0].split()[1:] == ["1250", "0", "1250", "INR"]
        assert len((await run("sandbox", "journal")).stdout.splitlines()) == 4


async def test_an_operator_reconciles_beside_a_server(
    database: DatabaseSettings, tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = PaymentsPlugin(PaymentsSettings(sweep=False))
    async with make_kit([plugin], database=database, tmp_path=tmp_path, settings=QUIET) as kit:
        await pay(kit.get(Payments), kit, "tok_ok")
        done = await run("reconcile")
        assert done.exit_code == 0, done.output
        assert done.stdout.split() == [
            *("sandbox", "listing", "agreed", "1,", "listed", "1"),
            *("sandbox", "settlement", "nothing", "to", "compare"),
        ]
        assert done.stderr.startswith("# sandbox listing: agreed 1")
        assert "there are none" in (await run("items")).stderr
        with Journal(journal_of(kit.database.data_dir, "sandbox")).transaction() as db:
            db.execute("UPDATE object SET amount = 900")
        await run("reconcile", "--stream", "listing")
        assert (await run("items")).stdout.split()[3:5] == ["amount", "sandbox"]
        other = await run("reconcile", "--instance", "other")
        assert (other.exit_code, "there are sandbox" in other.stderr) == (2, True)
        journal = journal_of(kit.database.data_dir, "sandbox")
        journal.rename(journal.with_suffix(".away"))
        journal.mkdir()  # it cannot be opened
        broken = await run("reconcile")
        assert (broken.exit_code, "the log says why" in broken.stdout) == (1, True)


async def test_an_operator_disputes_what_the_sandbox_took(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, run: Run
) -> None:
    plugin = PaymentsPlugin(PaymentsSettings(sweep=False, fraud=GENEROUS))
    async with make_kit([plugin], database=database, tmp_path=tmp_path, clock=clock, settings=QUIET) as kit:
        await pay(kit.get(Payments), kit, "tok_ok")
        taken = msgspec.json.decode((await run("sandbox", "journal", "--json")).stdout.splitlines()[-1])["ref"]
        opened = await run("sandbox", "dispute", taken, "opened")
        assert opened.exit_code == 0, opened.output
        dispute = opened.stdout.strip()
        for word, code in (("under_review", 0), ("won", 0), ("lost", 2)):
            assert (await run("sandbox", "dispute", dispute, word)).exit_code == code, word
        assert (await run("sandbox", "dispute", "sb_none", "opened")).exit_code == 2
        kinds = [line.split()[1] for line in (await run("sandbox", "journal")).stdout.splitlines()]
        assert kinds == ["authorize", "capture", "dispute", "dispute_won"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "pay_00000000000000000000000000"), "there is no payment"),
        (("list", "--status", "lost"), "--status"),
    ],
)
async def test_what_is_not_there_is_said(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    async with make_kit([PaymentsPlugin()], database=database, tmp_path=tmp_path, clock=clock, settings=QUIET):
        refused = await run(*arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr


async def test_another_instance_has_no_journal(run: Run) -> None:
    refused = await run("sandbox", "journal", "--instance", "other")
    assert isinstance(refused.exception, ConfigError)
    assert "is no sandbox" in str(refused.exception)


async def test_an_instance_with_something_open_cannot_be_taken_away(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    def opened(settings: PaymentsSettings) -> object:
        return make_kit([PaymentsPlugin(settings)], database=database, tmp_path=tmp_path, clock=clock, settings=QUIET)

    async with opened(PaymentsSettings(sweep=False, fraud=GENEROUS)) as kit:  # type: ignore[attr-defined]
        assert (await pay(kit.get(Payments), kit, "tok_pending")).status == "processing"
    with pytest.raises(ConfigError, match=r"payments\.providers\.sandbox"):
        async with opened(PaymentsSettings(sweep=False, providers={})):  # type: ignore[attr-defined]
            pass


async def test_notices_are_printed_signed_or_sent(database: DatabaseSettings, tmp_path: Path, run: Run) -> None:
    """A payment that waits for its payer ends by what the commands alone do: decide, then tell."""
    plugin = PaymentsPlugin(PaymentsSettings(sweep=False, fraud=GENEROUS))
    async with make_kit([plugin], database=database, tmp_path=tmp_path) as kit, serve(kit) as base:
        payments = kit.get(Payments)
        asked = await pay(payments, kit, "tok_3ds")
        async with kit.caller(ALICE).begin(readonly=True) as ctx:
            (operation,) = await payments.operations(ctx, asked.id)
        await run("sandbox", "decide", operation.provider_ref or "", "approve")
        lines = (await run("sandbox", "notices")).stdout.splitlines()
        shown = [msgspec.json.decode(line) for line in lines]
        assert [msgspec.json.decode(one["body"])["type"] for one in shown] == [
            "authorize.requires_action",
            "authorize.succeeded",
        ]
        assert all(one["headers"]["sandbox-signature"].startswith("t=") for one in shown)
        assert len((await run("sandbox", "notices", "--after", "1")).stdout.splitlines()) == 1
        sent = (await run("sandbox", "notices", "--to", base, "--copies", "2", "--seed", "4")).stdout.splitlines()
        assert sorted(sent) == ['200 {"received":0}'] * 2 + ['200 {"received":1}'] * 2
        await settle(kit, seconds=30)
        async with kit.caller(ALICE).begin(readonly=True) as ctx:
            assert (await payments.get(ctx, asked.id)).status == "succeeded"
    for address in ("127.0.0.1", "file:///etc", base):
        refused = await run("sandbox", "notices", "--to", address)
        assert isinstance(refused.exception, ConfigError)
        assert "address of a server" in str(refused.exception) or "nobody answers" in str(refused.exception)
