"""Runs the installed `corekit serve` in an empty folder, asks it whether it is ready, and stops it with SIGTERM."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

PATIENCE = 30.0  # seconds


def status(url: str) -> int:
    """Return the status of an answer; 0 where there is none."""
    try:
        with urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except URLError:
        return 0


def check(url: str) -> None:
    """Ask for what a newcomer looks at first."""
    began = time.monotonic()
    while status(f"{url}/ready") != 200 and time.monotonic() - began < PATIENCE:
        time.sleep(0.05)
    for path in ("/live", "/ready", "/docs", "/docs/openapi.json", "/docs/asyncapi.json"):
        if (found := status(url + path)) != 200:
            raise SystemExit(f"{path} answers {found}")


def address(process: subprocess.Popen[str]) -> str:
    """Read what it prints until it says where it listens."""
    said = ""
    for line in process.stdout or ():
        said += line
        if where := re.search(r"listening on (http://\S+)", line):
            return where.group(1)
    raise SystemExit(f"it ended with {process.wait()} before it listened: {said}")


with tempfile.TemporaryDirectory() as folder:
    program = Path(sys.executable).with_name("corekit")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COREKIT_", "PYTHON"))}
    process = subprocess.Popen(
        [program, "serve", "--port", "0"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        check(address(process))
        process.terminate()
        if (code := process.wait(PATIENCE)) != 0:
            raise SystemExit(f"it ended with {code} after SIGTERM")
    finally:
        process.kill()
    print(
        f"served from its wheels, ready and stopped; it made {', '.join(path.name for path in Path(folder).iterdir())}"
    )
