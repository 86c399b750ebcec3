"""The fork server as its user sees it."""

import subprocess
from pathlib import Path

import msgspec


class ForkServer:
    """Says how lives ended, and what they said."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process, self._log = process, log
        self._owed = 0

    def send(self, **work: object) -> None:
        """Ask for something: see `Work` in `crash_life.py`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{msgspec.json.encode(work).decode()}\n")
        self._process.stdin.flush()
        self._owed += 1

    def forget(self) -> None:
        """Wait for what a test that has failed did not wait for."""
        while self._owed:
            self.heard()

    def heard(self) -> list[dict[str, int]]:
        """Wait for what became of it: a process and its end each."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._owed -= 1
        assert line, self.said()
        ends: list[dict[str, int]] = msgspec.json.decode(line)
        return ends

    def said(self) -> str:
        """Return the end of the log."""
        return self._log.read_text("utf-8", "replace")[-3000:]
