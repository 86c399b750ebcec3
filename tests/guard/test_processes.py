"""Four processes that share a limit let as many pass as one would."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from corekit.data import DatabaseSettings
from corekit.testing import make_kit

PROGRAM = Path(__file__).with_name("limit_process.py")


async def passed(database: DatabaseSettings, folder: Path, settings: dict[str, Any]) -> list[int]:
    """Start four, let them hit together, and return how many passed in each."""
    async with make_kit(database=database, tmp_path=folder):
        pass  # the schema and the keyring are there before they come
    given = msgspec.json.encode({"database": database, "settings": settings}).decode()
    command = (sys.executable, str(PROGRAM), given, str(folder))
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    four = [await asyncio.create_subprocess_exec(*command, **pipes) for _ in range(4)]
    try:
        async with asyncio.timeout(60):
            for process in four:
                assert process.stdout
                assert await process.stdout.readline() == b"up\n"
            answers = await asyncio.gather(*(process.communicate(b"go\n") for process in four))
            return [int(out) for out, _ in answers]
    finally:
        for process in four:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_four_processes_on_one_database(database: DatabaseSettings, tmp_path: Path) -> None:
    assert sum(await passed(database, tmp_path, {"limits": {"store": "sql"}})) == 40


async def test_four_processes_on_one_valkey(valkey_url: str, tmp_path: Path) -> None:
    database = DatabaseSettings(url=f"sqlite:///{tmp_path / 'test.db'}")
    settings: dict[str, Any] = {"redis": {"url": valkey_url, "timeout": 5}}
    assert sum(await passed(database, tmp_path, settings)) == 40


async def test_in_memory_each_counts_for_itself(tmp_path: Path) -> None:
    """This is what the two tests above would see if nothing were shared."""
    database = DatabaseSettings(url=f"sqlite:///{tmp_path / 'test.db'}")
    assert await passed(database, tmp_path, {"limits": {"store": "memory"}}) == [30] * 4
