"""Runs a server for as long as the process that wants it lives, then stops it and tidies up.

It is a script of its own, because nothing inside a process survives that process's SIGKILL. Its standard input is a
pipe whose other end the wanting process holds: first comes one line, the plan; then end of file means that the process
is gone, however it went. It starts before its folder is made, so that a folder never has nobody who removes it.
"""

import json
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

PATIENCE = 20.0  # seconds for a server to stop


def main(folder: Path, *, keep: bool) -> int:
    """Wait for the plan, run the server until the pipe closes; what went wrong is the end of its log, on stderr."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        if not (line := sys.stdin.readline()):
            return 0
        plan = json.loads(line) | {"folder": folder}
        if all(_done(plan, command) for command in plan["first"]) and _run(plan):
            return 0
        sys.stderr.write(_log(plan).read_text("utf-8", "replace")[-2000:])
        return 1
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _done(plan: dict[str, Any], command: list[str]) -> bool:
    program = _start(plan, command)
    try:
        return program.wait() == 0
    finally:
        program.kill()


def _run(plan: dict[str, Any]) -> bool:
    """Tell whether the server ran until nobody wanted it any more."""
    server = _start(plan, plan["command"])
    try:
        while server.poll() is None:
            if select.select([sys.stdin], [], [], 0.1)[0]:
                return True
        return False
    finally:
        _stop(server, plan["signal"])


def _start(plan: dict[str, Any], command: list[str]) -> subprocess.Popen[Any]:
    """Start a program that writes a log of its own: what failed is all that is in it."""
    with _log(plan).open("wb") as log:
        return subprocess.Popen(
            command, cwd=plan["folder"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **plan["identity"]
        )


def _log(plan: dict[str, Any]) -> Path:
    return Path(plan["folder"]) / "log"


def _stop(server: subprocess.Popen[Any], number: int) -> None:
    if server.poll() is None:
        server.send_signal(number)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _leave(number: int, _: Any) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), keep=sys.argv[2:] == ["keep"]))
