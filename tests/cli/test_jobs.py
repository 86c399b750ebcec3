"""`corekit jobs`: listed without payloads, retried, buried, dropped."""

import subprocess
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from nursery import run_corekit  # beside this folder
from sqlalchemy import select

from corekit import Corekit
from corekit.data.outbox import JobRow
from corekit.testing import make_kit

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def kit(database_url: str, tmp_path: Path) -> AsyncGenerator[Corekit]:
    async with make_kit([], database=database_url, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as kit:
        yield kit


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Cli:
    (tmp_path / "corekit.toml").write_text("[kit]\nplugins = []\n")

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_corekit(tmp_path, "jobs", *arguments, "--database", database_url)

    return cli


async def add(kit: Corekit, state: str, listener: str = "push.send", key: str | None = None) -> UUID:
    async with kit.caller().system("corekit.jobs").begin() as ctx:
        row = JobRow(
            id=uuid4(),
            tag="push.send",
            listener=listener,
            payload=b'"secret"',
            key=key,
            priority=0,
            run_after=NOW,
            state=state,
            attempts=8 if state == "buried" else 0,
            created_at=NOW,
            last_error="ValueError: broken" if state == "buried" else None,
        )
        ctx.session.add(row)
    return row.id


async def states(kit: Corekit) -> dict[UUID, tuple[str, int]]:
    async with kit.caller().system("corekit.jobs").begin(readonly=True) as ctx:
        return {row.id: (row.state, row.attempts) for row in await ctx.session.scalars(select(JobRow))}


async def test_list_filters_and_never_prints_a_payload(kit: Corekit, cli: Cli) -> None:
    queued, buried = await add(kit, "queued"), await add(kit, "buried", "push.other")
    everything = cli("list")
    assert everything.returncode == 0, everything.stderr
    assert str(queued) in everything.stdout
    assert f"{buried}  buried  8  2030-01-01T00:00:00Z  push.other" in everything.stdout
    assert "ValueError: broken" in everything.stdout
    assert "secret" not in everything.stdout
    assert str(queued) not in cli("list", "--state", "buried").stdout
    assert str(buried) not in cli("list", "--listener", "push.send").stdout
    assert len(cli("list", "--limit", "1").stdout.splitlines()) == 1


async def test_retry_brings_buried_jobs_back(kit: Corekit, cli: Cli) -> None:
    one, other = await add(kit, "buried"), await add(kit, "buried", "push.other")
    open_key, twin = await add(kit, "queued", key="a"), await add(kit, "buried", key="a")
    first, second = sorted([await add(kit, "buried", key="b"), await add(kit, "buried", key="b")])
    leased = await add(kit, "leased")
    assert cli("retry").returncode == 2
    assert cli("retry", str(one), str(leased)).stdout == "1 job queued again\n"
    assert cli("retry", "--all").stdout == "2 jobs queued again\n"
    assert await states(kit) == {
        one: ("queued", 0),
        other: ("queued", 0),
        open_key: ("queued", 0),
        twin: ("buried", 8),
        first: ("queued", 0),
        second: ("buried", 8),
        leased: ("leased", 0),
    }


async def test_bury_and_drop_leave_running_jobs_alone(kit: Corekit, cli: Cli) -> None:
    queued, leased = await add(kit, "queued"), await add(kit, "leased")
    buried, other = await add(kit, "buried"), await add(kit, "buried", "push.other")
    assert cli("bury", str(queued), str(leased)).stdout == "1 job buried\n"
    assert (await states(kit))[queued] == ("buried", 0)
    refused = cli("drop", str(queued))
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    assert cli("drop", "--yes").returncode == 2
    assert cli("drop", "--yes", "--listener", "push.send").stdout == "2 jobs dropped\n"
    assert await states(kit) == {leased: ("leased", 0), other: ("buried", 8)}
    assert buried not in await states(kit)


def test_help_says_what_happens(cli: Cli) -> None:
    assert "with all their attempts" in cli("retry", "--help").stdout
    assert "--yes" in cli("drop", "--help").stdout
