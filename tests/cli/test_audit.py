"""`corekit audit list`, and the entries that other commands leave."""

import json
import subprocess
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from nursery import run_corekit  # beside this folder

from corekit import Actor, Corekit
from corekit.context import Client
from corekit.contracts.audit import Audit, AuditEntry, AuditQuery, Target
from corekit.data.outbox import JobRow
from corekit.testing import make_kit
from corekit.values import typeid

ALICE, BOB = Actor("alice"), Actor("bob")
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def kit(database_url: str, tmp_path: Path) -> AsyncGenerator[Corekit]:
    async with make_kit([], database=database_url, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as kit:
        yield kit


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Cli:
    (tmp_path / "corekit.toml").write_text(f'[kit]\nplugins = []\ndata_dir = "{tmp_path}"\n')

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_corekit(tmp_path, *arguments, "--database", database_url)

    return cli


async def record(kit: Corekit, actor: Actor, action: str, target: Target | None = None) -> None:
    async with kit.caller(actor, Client(address="192.0.2.7")).begin() as ctx:
        await ctx.get(Audit).record(ctx, action, target=target, details={"reason": "why"})


async def entries(kit: Corekit) -> list[AuditEntry]:
    async with kit.caller().system("corekit.audit").begin(readonly=True) as ctx:
        return (await ctx.get(Audit).find(ctx, AuditQuery(limit=200))).items


async def job(kit: Corekit, state: str) -> UUID:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    row = JobRow(id=uuid4(), tag="a.b", listener="a.b", payload=b"", priority=0, run_after=now, state=state)
    row.attempts, row.created_at = 0, now
    async with kit.caller().system("corekit.jobs").begin() as ctx:
        ctx.session.add(row)
    return row.id


async def test_list_filters(kit: Corekit, cli: Cli) -> None:
    await record(kit, ALICE, "shop.opened")
    await record(kit, BOB, "shop.order.made", Target("order", "7"))
    found = cli("audit", "list")
    assert found.returncode == 0, found.stderr
    newest, oldest = found.stdout.splitlines()
    assert newest.split()[1:] == ["shop.order.made", "user", str(BOB.id), "order:7", "192.0.2.7", '{"reason":"why"}']
    assert oldest.split()[1:] == ["shop.opened", "user", str(ALICE.id), "-", "192.0.2.7", '{"reason":"why"}']
    for arguments, expected in (
        (("--actor", str(ALICE.id)), [oldest]),
        (("--actor", typeid("usr", BOB.id)), [newest]),
        (("--action", "shop.opened"), [oldest]),
        (("--action", "shop.order."), [newest]),
        (("--target", "order"), [newest]),
        (("--target", "order:8"), []),
        (("--since", "2020-01-01", "--until", "2200-01-01T00:00:00+02:00"), [newest, oldest]),
        (("--since", "2200-01-01"), []),
        (("--limit", "1"), [newest]),
    ):
        found = cli("audit", "list", *arguments)
        assert found.stdout.splitlines() == expected, (arguments, found.stderr)
    assert "# the newest 1; more with --limit" in found.stderr


async def test_list_reads_more_than_one_page(kit: Corekit, cli: Cli) -> None:
    async with kit.caller(ALICE).begin() as ctx:
        for number in range(205):
            await ctx.get(Audit).record(ctx, f"shop.{number}")
    found = cli("audit", "list", "--limit", "204")
    assert len({line.split()[1] for line in found.stdout.splitlines()}) == 204
    assert "# the newest 204" in found.stderr
    assert cli("audit", "list", "--limit", "205").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--actor", "me"), "expected usr_… or a UUID"),
        (("--since", "yesterday"), "write it as 2030-01-31 or 2030-01-31T12:00:00Z"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run_corekit(tmp_path, "audit", "list", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


async def test_what_an_operator_does_to_jobs_is_written_down(kit: Corekit, cli: Cli) -> None:
    one, _ = await job(kit, "buried"), await job(kit, "queued")
    assert cli("jobs", "retry", str(one)).returncode == 0
    assert cli("jobs", "bury", "--listener", "a.b").returncode == 0
    assert cli("jobs", "bury", "--listener", "a.b").stdout == "0 jobs buried\n"
    assert cli("jobs", "drop", "--state", "buried", "--yes").returncode == 0
    via = {"via": "command line"}
    assert [(entry.action, entry.target, entry.details) for entry in await entries(kit)] == [
        ("jobs.dropped", None, via | {"count": 2, "states": ["buried"]}),
        ("jobs.buried", None, via | {"count": 2, "listener": "a.b"}),
        ("jobs.retried", Target("job", str(one)), via | {"count": 1, "named": 1}),
    ]
    assert {(entry.kind, entry.purpose, entry.actor) for entry in await entries(kit)} == {
        ("system", "corekit.jobs", None)
    }


async def test_a_rotation_of_the_keyring_is_written_down(kit: Corekit, cli: Cli, tmp_path: Path) -> None:
    done = cli("keyring", "rotate")
    assert done.returncode == 0, done.stderr
    active = json.loads((tmp_path / "keyring").read_bytes())["active"]
    (entry,) = await entries(kit)
    assert (entry.action, entry.purpose) == ("keyring.rotated", "corekit.keyring")
    assert entry.details == {"via": "command line", "active": active, "failed": 0}
