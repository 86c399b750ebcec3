"""localstripe, a double of Stripe that others have written, as a program beside the tests.

It is GPL-3.0-or-later: it is installed into an environment of its own, runs as a process of its own, and nothing of
ours imports it. Where it cannot be installed, the tests that need it are skipped and say so.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

DOUBLE = "localstripe==1.15.10"


def installed(folder: Path) -> Path:
    """Install the double once, and give its Python; whoever is first moves it into its place."""
    python = folder / "env" / "bin" / "python"
    if python.exists():
        return python
    if (uv := shutil.which("uv")) is None:
        pytest.skip("localstripe needs uv for an environment of its own")
    made = folder / f"new-{os.getpid()}"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(made)],
        [uv, "pip", "install", "--quiet", "--python", str(made / "bin" / "python"), DOUBLE],
    ):
        if why := _failure(command):
            shutil.rmtree(made, ignore_errors=True)
            pytest.skip(f"{DOUBLE} cannot be installed here: {why}")
    try:
        made.rename(folder / "env")
    except OSError:  # another worker was first
        shutil.rmtree(made)
    return python


def _failure(command: list[str]) -> str:
    """Run a command; return why it failed, and nothing where it did not."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=50, text=True)
    except subprocess.TimeoutExpired:
        return "it takes longer than 50 seconds"
    return "" if not done.returncode else (done.stderr.strip().splitlines() or ["no word of uv's"])[-1].strip()


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the double out of an environment in a folder, and give its address."""
    python = installed(folder)
    launcher = str(Path(__file__).parent / "stripe_double.py")
    with subprocess.Popen(
        [python, "-I", launcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
