"""`corekit migrate` as its users run it, with a plugin that is installed, disabled, removed and uninstalled."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nursery import run_corekit  # beside this folder

from corekit.testing import free_port

COREKIT = [sys.executable, "-m", "corekit"]
KEY = "A" * 43
PROD = {
    "COREKIT_ENV": "prod",
    "COREKIT_KEYRING__ACTIVE": "k",
    "COREKIT_KEYRING__KEYS": json.dumps({"k": KEY}),
    "COREKIT_KEYRING__INDEX": KEY,
}
PLUGIN = """
from corekit import Plugin, Settings
class PolitePlugin(Plugin[Settings]):
    name = "polite"
"""
REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "polite_0001", None, ("polite",), "core_0001"
def upgrade():
    op.create_table("polite_word", sa.Column("id", sa.Integer(), nullable=False), sa.PrimaryKeyConstraint("id"))
def downgrade():
    op.drop_table("polite_word")
"""
Migrate = Callable[..., subprocess.CompletedProcess[str]]


def environment(plugins: str = "[]", **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COREKIT_")}
    return clean | {"COREKIT_KIT__PLUGINS": plugins} | more


@pytest.fixture
def migrated() -> None:
    """Start with nothing."""


@pytest.fixture
def migrate(database_url: str, tmp_path: Path) -> Migrate:
    """Run `corekit migrate` on each database."""

    def run(*arguments: str, plugins: str = "[]", **more: str) -> subprocess.CompletedProcess[str]:
        everything = ("migrate", *arguments, "--database", database_url)
        return run_corekit(tmp_path, *everything, env=environment(plugins, **more))

    return run


@pytest.fixture
def site(tmp_path: Path) -> str:
    """Install a plugin the way pip does it; the path it is on."""
    package = tmp_path / "site" / "corekit_polite"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").write_text(PLUGIN, "utf-8")
    (package / "migrations" / "polite_0001.py").write_text(REVISION, "utf-8")
    about = tmp_path / "site" / "corekit_polite-1.2.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: corekit-polite\nVersion: 1.2.3\n", "utf-8")
    (about / "entry_points.txt").write_text("[corekit]\npolite = corekit_polite:PolitePlugin\n", "utf-8")
    return str(tmp_path / "site")


def ends(done: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, said
    assert "Traceback" not in said
    for one in texts:
        assert one in said


def test_a_plugin_comes_and_goes(migrate: Migrate, site: str) -> None:
    ends(migrate("up", plugins='["polite"]', PYTHONPATH=site), 0, "polite polite_0001 up to date")
    ends(migrate("status", PYTHONPATH=site), 0, "polite polite_0001 not enabled")
    ends(migrate("remove", "polite", PYTHONPATH=site), 2, "say --yes if you mean it")

    cures = "install it again, or, to be rid of its tables, install it, run `corekit migrate remove polite`"
    for arguments in (["up"], ["remove", "polite", "--yes"], ["check"]):
        ends(migrate(*arguments), 3, f"of the plugin polite 1.2.3, which is not installed: {cures}")
    ends(migrate("status"), 3, "polite polite_0001 not known to this code", "unknown: polite_0001")

    ends(migrate("remove", "polite", "--yes", PYTHONPATH=site), 0, "polite has no tables here")
    ends(migrate("up"), 0, "core core_0006 up to date")
    ends(migrate("remove", "polite", "--yes"), 2, "no installed plugin with tables is called 'polite'")


def test_down_is_careful(migrate: Migrate) -> None:
    ends(migrate("up"), 0)
    ends(migrate("down", "core_0009"), 2, "'core_0009' is no revision")
    ends(migrate("down", "core_0001"), 2, "say --yes if you mean it")
    ends(migrate("down", "core_0001", "--yes"), 0, "core core_0001 → core_0006")
    ends(migrate("down", "core", "--yes"), 2, "say --yes-drop-everything if you mean it")
    ends(migrate("down", "core", "--yes-drop-everything", **PROD), 2, "it is refused in prod")
    ends(migrate("remove", "core", "--yes"), 2, "the core cannot be removed")
    ends(migrate("down", "core", "--yes-drop-everything"), 0, "core - → core_0006")


def test_check_finds_drift(tmp_path: Path) -> None:
    def check() -> subprocess.CompletedProcess[str]:
        return run_corekit(tmp_path, "migrate", "check", env=environment())

    ends(check(), 3, "pending migrations: core_0006; run `corekit migrate up` first")
    ends(run_corekit(tmp_path, "migrate", "up", env=environment()), 0, "core_0006")
    ends(check(), 0, "revisions and tables are as they should be")
    with sqlite3.connect(tmp_path / "var" / "corekit.db") as connection:
        connection.execute("DROP TABLE corekit_job")
    connection.close()
    ends(check(), 3, "drift: corekit_job: the models say add table")


def test_a_server_with_pending_migrations_never_listens(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    command = [*COREKIT, "serve", "--port", str(port), "--database", database_url]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(**PROD), stderr=subprocess.PIPE, text=True)
    answered = 0
    try:
        while process.poll() is None:
            with socket.socket() as client:
                answered += client.connect_ex(("127.0.0.1", port)) == 0
        assert process.stderr
        assert "pending migrations: core_0006; run `corekit migrate up` first" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, answered) == (3, 0)
