"""The command as its users run it: what it prints, and how it ends."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from nursery import run_corekit  # beside this folder
from sqlalchemy.engine import make_url

from corekit.cli.main import cli
from corekit.data.schema import VERSION_TABLE
from corekit.testing import free_port

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("COREKIT_")}
COREKIT = [sys.executable, "-m", "corekit"]


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return run_corekit(folder, *arguments, env=CLEAN | environment)


def fails(done: subprocess.CompletedProcess[str], code: int, text: str) -> None:
    """Check that a command ended with one line of what went wrong."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert text in done.stderr
    assert done.stderr.startswith("corekit: ")
    assert done.stderr.count("\n") == 1, done.stderr


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `corekit serve` until it listens."""
    process = subprocess.Popen(
        [*COREKIT, "serve", "--port", "0", *arguments],
        cwd=folder,
        env=CLEAN | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                break
        assert found, "".join(said)
        yield found[1], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for name in cli.commands:
        assert f"\n  {name} " in done.stdout
    assert "2 usage, configuration or port; 3 database or schema state; 4 no worker process stays up" in " ".join(
        done.stdout.split()
    )
    assert not list(tmp_path.iterdir()), "asking for help makes nothing"


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        (
            ["serve"],
            {"COREKIT_WEB__PROT": "1"},
            "[web] has no setting 'prot' ($COREKIT_WEB__PROT); did you mean 'port'?",
        ),
        (["plugins"], {"COREKIT_WBE__PORT": "1"}, "settings for nobody: [wbe] ($COREKIT_WBE__PORT)"),
        (["plugins"], {"COREKIT_KIT__PLUGINS": '["chat", "nowhere"]'}, "'nowhere' is enabled but not installed"),
        (
            ["plugins"],
            {"COREKIT_KIT__PLUGINS": '["chat"]'},
            "plugin chat requires Auth, which no enabled plugin provides",
        ),
        (["plugins", "--env", "prod"], {}, "[kit] plugins is required in prod"),
        (["plugins", "--config", "none.toml"], {}, "no configuration file at none.toml"),
        (["serve"], {"COREKIT_WEB__HOST": "192.0.2.1"}, "listening on 192.0.2.1 needs a named environment"),
        (["serve", "--database", "mysql://x/y"], {}, "'mysql' is not supported"),
        (["serve", "--env", "prod"], {"COREKIT_KIT__PLUGINS": "[]"}, "[keyring] is required outside dev"),
        (["serve", "--data-dir", "taken/var"], {}, "cannot use taken/var"),
        (["worker"], {}, "a worker of its own needs PostgreSQL"),
        (["serve", "--workers", "2"], {}, "[realtime] bus is memory, which joins no other process; set [redis] url"),
        (["serve"], {"COREKIT_KIT__WORKERS": "2"}, "or run one process: workers = 1"),
        (["serve"], {"COREKIT_WORKER_PLACE": "1"}, "is for the workers of `corekit serve` alone"),
        (["serve"], {"COREKIT_KIT__WORKERS": "0"}, "[kit] workers is 1 to 256, not 0"),
        (["serve", "--workers", "2", "--data-dir", "taken/var"], {}, "cannot use taken/var"),
    ],
)
def test_a_configuration_that_cannot_be_used(
    arguments: list[str], environment: dict[str, str], text: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    fails(run(tmp_path, *arguments, **environment), 2, text)


def test_wrong_usage(tmp_path: Path) -> None:
    for arguments in (
        ["nonsense"],
        ["serve", "--port", "x"],
        ["serve", "--workers", "0"],
        ["migrate", "down", "nowhere"],
        ["config", "explain", "q"],
    ):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Error: " in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        fails(run(tmp_path, "serve", "--port", port), 2, f"cannot listen on 127.0.0.1:{port}: Address already in use")
    assert not (tmp_path / "var").exists()


def test_plugins_are_listed_in_the_order_of_their_start(tmp_path: Path) -> None:
    lines = run(tmp_path, "plugins").stdout.splitlines()
    assert {line.split()[0] for line in lines} >= {"auth", "realtime", "chat"}
    names = [line.split()[0] for line in lines]
    assert names.index("chat") > max(names.index("auth"), names.index("realtime"))
    (chat,) = [line for line in lines if line.startswith("chat")]
    assert re.fullmatch(r"chat +\d+\.\d+\.\d+ +provides Messaging +requires Auth, Realtime", chat)


def test_config_explain_tells_where_a_value_came_from_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "corekit.toml").write_text('[web]\nport = 9\n[env.prod.web]\nhost = "0.0.0.0"\n[kit]\nplugins = []\n')
    secret = tmp_path / "index"
    secret.write_text("hunter2")
    environment = {
        "COREKIT_KEYRING__KEYS": '{"k1": "hunter2"}',
        "COREKIT_KEYRING__INDEX_FILE": str(secret),
        "COREKIT_DATABASE__SERVICE_URL": "postgresql://svc:hunter2@db/app",
    }
    url = "postgresql://app:hunter2@db/app"
    done = run(tmp_path, "config", "explain", "--env", "prod", "--database", url, **environment)
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "# environment prod, file corekit.toml"
    for line in (
        "web.port = 9 # corekit.toml",
        'web.host = "0.0.0.0" # corekit.toml [env.prod]',
        'keyring.keys = {"k1":"set"} # $COREKIT_KEYRING__KEYS',
        "keyring.index = set # $COREKIT_KEYRING__INDEX_FILE",
        'database.url = "postgresql://app:***@db/app" # command line',
        "jobs.worker = true # default",
    ):
        assert line in lines
    one = run(tmp_path, "config", "explain", "web.port", "--env", "prod").stdout.splitlines()
    assert one[1:] == ["web.port = 9  # corekit.toml"]


@pytest.fixture
def migrated() -> None:
    """Start with nothing."""


def test_migrate_up_status_and_down(database_url: str, tmp_path: Path) -> None:
    def migrate(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run(tmp_path, "migrate", *arguments, "--database", database_url)

    before = migrate("status")
    assert before.returncode == 3
    assert before.stderr.startswith("corekit: pending: core_0006, auth_")
    assert "chat - → chat_" in " ".join(before.stdout.split())
    up = migrate("up")
    assert (up.returncode, up.stdout.count("up to date")) == (0, up.stdout.count("\n")), up.stderr
    assert migrate("status").stdout == up.stdout
    unsure = migrate("down", "chat")
    assert unsure.returncode == 2
    assert "say --yes if you mean it" in unsure.stderr
    down = migrate("down", "chat", "--yes")
    assert down.returncode == 0
    assert "chat - → chat_" in " ".join(down.stdout.split())
    assert migrate("down", "core", "--yes").returncode == 2


def test_a_database_that_is_newer_than_the_code(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", "up").returncode == 0
    with sqlite3.connect(tmp_path / "var" / "corekit.db") as connection:
        connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('chat_0099')")  # noqa: S608  # a constant
    connection.close()
    for arguments in (["serve", "--port", "0"], ["migrate", "up"]):
        fails(run(tmp_path, *arguments), 3, "chat_0099; it is newer than the code")


def test_pending_migrations_outside_dev(tmp_path: Path) -> None:
    key = "A" * 43
    environment = {
        "COREKIT_ENV": "prod",
        "COREKIT_KIT__PLUGINS": "[]",
        "COREKIT_KEYRING__ACTIVE": "k",
        "COREKIT_KEYRING__KEYS": json.dumps({"k": key}),
        "COREKIT_KEYRING__INDEX": key,
    }
    fails(run(tmp_path, "serve", "--port", "0", **environment), 3, "run `corekit migrate up` first")
    assert run(tmp_path, "migrate", "up", **environment).returncode == 0
    with serving(tmp_path, **environment) as (url, process):
        assert httpx.get(f"{url}/ready").json()["status"] == "ok"
        process.terminate()
        assert process.wait(20) == 0


def test_a_database_that_cannot_be_reached(postgres_url: str, tmp_path: Path) -> None:
    nowhere = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
    fails(run(tmp_path, "migrate", "status", "--database", nowhere), 3, 'database "nowhere" does not exist')
    closed = f"postgresql://app:hunter2@127.0.0.1:{free_port()}/app"
    unknown = "postgresql://app:hunter2@nowhere.invalid/app"
    for url in (closed, unknown):
        done = run(tmp_path, "serve", "--port", "0", "--database", url)
        fails(done, 3, "the database does not answer")
        assert "hunter2" not in done.stderr


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a letter, not a database; " * 100)
    fails(run(tmp_path, "migrate", "status", "--database", "sqlite:///x.db"), 3, "file is not a database")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_it_is_and_ends_when_told(number: signal.Signals, tmp_path: Path) -> None:
    with serving(tmp_path) as (url, process):
        assert process.stdout
        assert process.stdout.readline() == f"API docs at  {url}/docs\n"
        assert httpx.get(f"{url}/ready").status_code == 200
        assert httpx.get(f"{url}/docs").headers["content-type"].startswith("text/html")
        process.send_signal(number)
        assert process.wait(20) == 0
        rest = process.stdout.read()
        assert "Traceback" not in rest
        assert "request [corekit.requests] method=GET route=/docs status=200" in rest
    assert (tmp_path / "var" / "corekit.db").exists()


def test_a_worker_runs_on_postgresql_and_ends_when_told(postgres_url: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COREKIT, "worker", "--database", postgres_url], cwd=tmp_path, env=CLEAN, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        assert "worker on postgresql" in process.stdout.readline()
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()


def test_importing_the_package_needs_no_web_and_no_plugin(tmp_path: Path) -> None:
    script = """
import sys, corekit, corekit.cli.main
heavy = {"litestar", "uvicorn", "asyncpg", "corekit.web", "corekit_auth"} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
