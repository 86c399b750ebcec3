"""A supervisor whose workers do not stay up, and what the number of processes changes in a kit."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.test_commands import CLEAN, run

DIES = """
import os
if "COREKIT_WORKER_PLACE" in os.environ:
    os._exit(7)
"""
NOWHERE = "import sys; sys.executable = '/nowhere/python'"


@pytest.mark.parametrize(
    ("trouble", "event", "text"),
    [
        (DIES, "worker_ended", "ended with exit code 7"),
        (DIES.replace("_exit(7)", "kill(os.getpid(), 9)"), "worker_ended", "was ended by signal 9"),
        (NOWHERE, "worker_not_started", "could not start a process"),
    ],
)
def test_the_supervisor_gives_up_where_no_worker_comes_up(trouble: str, event: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "troubled.py").write_text(f"{trouble}\nfrom corekit.cli import main\nmain()\n")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "troubled.py", "serve", "--port", "0", "--workers", "2"],
        cwd=tmp_path,
        env=CLEAN,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert time.monotonic() - began > 0.25 + 0.5 + 1 + 2, "it paused longer after each of the failures"
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count(event) == 5
    assert done.stderr.splitlines()[-1] == f"corekit: no worker stays up: 5 attempts, the last {text}"


def test_a_worker_of_its_own_refuses_the_bus_of_one_process(postgres_url: str, tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", "up", "--database", postgres_url).returncode == 0
    done = run(tmp_path, "worker", "--database", postgres_url, COREKIT_REALTIME__BUS="memory")
    assert done.returncode == 2, done.stderr
    assert "corekit: [realtime] bus is memory, which joins no other process" in done.stderr
