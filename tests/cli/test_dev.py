"""`corekit dev up` as its users run it."""

import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.cli.test_commands import CLEAN, COREKIT, fails, run, serving

from corekit.testing import free_port


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that other users may enter: root's PostgreSQL is one of them."""
    with tempfile.TemporaryDirectory(prefix="corekit-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def ports(**more: int) -> list[str]:
    return [f"--{name.replace('_', '-')}={port}" for name, port in ({"port": free_port()} | more).items()]


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[tuple[str, dict[str, str], subprocess.Popen[str]]]:
    """Run it until it has said everything: the text, and the settings in it."""
    process = subprocess.Popen(
        [*COREKIT, "dev", "up", *arguments],
        cwd=folder,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            said = ""
            for line in process.stdout:
                said += line
                if line.startswith("corekit serve"):
                    break
            else:
                pytest.fail(said)
            yield said, dict(re.findall(r"^export (\w+)='?([^'\n]+)", said, re.MULTILINE)), process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


async def ask(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_it_starts_what_serve_needs_and_keeps_the_data(folder: Path) -> None:
    chosen = ports()
    with up(folder, *chosen) as (_, settings, process):
        assert set(settings) == {f"COREKIT_DATABASE__{name}" for name in ("URL", "OWNER_URL", "SERVICE_URL")}
        with serving(folder, **settings):
            pass
        assert await ask(settings["COREKIT_DATABASE__URL"], "SELECT current_user") == "corekit_app"
        await ask(settings["COREKIT_DATABASE__OWNER_URL"], "CREATE TABLE kept AS SELECT 7 AS x")
        fails(run(folder, "dev", "up", *ports()), 2, "runs already on var/dev")
    assert process.returncode == 0
    with up(folder, *chosen) as (_, again, _):
        assert again == settings
        assert await ask(again["COREKIT_DATABASE__OWNER_URL"], "SELECT x FROM kept") == 7


async def test_valkey_and_nats_on_demand_and_all_of_them_want_a_password(folder: Path) -> None:
    valkey, nats = free_port(), free_port()
    chosen = ports(valkey_port=valkey, nats_port=nats)
    with up(folder, "--valkey", "--nats", "--data-dir=here", *chosen) as (said, settings, _):
        assert re.search(rf"redis://:.+@127\.0\.0\.1:{valkey}/0\n", said)
        assert re.search(rf"nats://corekit:.+@127\.0\.0\.1:{nats}\n", said)
        assert said.endswith("corekit serve --data-dir here\n")
        with socket.create_connection(("127.0.0.1", valkey), timeout=5) as line:
            line.sendall(b"PING\r\n")
            assert line.recv(100).startswith(b"-NOAUTH")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(re.sub(r":[^:@]+@", ":wrong@", settings["COREKIT_DATABASE__URL"]), "SELECT 1")
    assert (folder / "here/dev/password").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_named_before_anything_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails(run(folder, "dev", "up", f"--port={port}"), 2, f"127.0.0.1:{port}")
        done = run(folder, "dev", "up", *ports(valkey_port=port), "--valkey")
        fails(done, 2, "choose another with --valkey-port")
    assert not (folder / "var/dev/postgresql").exists()


def test_missing_packages_are_named(folder: Path) -> None:
    without = (
        "import sys; sys.modules['uvicorn'] = None; sys.argv[1:] = ['dev', 'up']; from corekit.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", without], cwd=folder, env=CLEAN, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == 'corekit: uvicorn is not installed: pip install "corekit[dev-services]"\n'
