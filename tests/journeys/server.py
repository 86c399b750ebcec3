"""A real `corekit serve` in a process of its own, to be killed and started again."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from corekit.testing import free_port

STARTED = re.compile(r"worker_started.*\bpid=(\d+).*\bworker=(\d+)")

PATIENCE = 60.0  # seconds: several start beside each other, on a machine that does other things too


class Server:
    """One server, one port, one database; `start` after `kill` is what an operator would do."""

    def __init__(self, folder: Path, settings: dict[str, str], *, clock: Path | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket = f"ws://127.0.0.1:{self.port}/connection/websocket"
        self.log = folder / "server.log"
        moved = [str(Path(__file__).with_name("moved.py")), str(clock)]
        self._corekit = [sys.executable, *(moved if clock else ["-m", "corekit"])]
        self._data = ["--data-dir", str(folder / "var")]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COREKIT_")}
        self._environment = clean | {"COREKIT_JOBS__POLL": "0.2"} | settings
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start, wait until it is ready; return the seconds that took."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._corekit, "serve", "--port", str(self.port), *self._data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment,
            )
        said = ""
        with httpx.Client(timeout=30) as client:
            while time.monotonic() - began < PATIENCE and self._process.poll() is None:
                try:
                    answer = client.get(f"{self.url}/ready")
                    if answer.status_code == 200:
                        return time.monotonic() - began
                    said = answer.text
                except httpx.TransportError as error:
                    said = repr(error)
                time.sleep(0.05)
        raise AssertionError(f"the server did not start: {said}\n{self.output()}")

    def configure(self, **settings: str) -> None:
        """Set what needs to know the address of this server."""
        self._environment |= settings

    def command(self, *arguments: str) -> str:
        """Run another command of `corekit` on the same database; return what it printed."""
        command = [*self._corekit, *arguments, *self._data]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM: drain, and say with which code it ended."""
        return self._end(signal.SIGTERM)

    def tell(self, number: signal.Signals) -> None:
        """Send a signal and go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def workers(self) -> dict[int, int]:
        """Return the process that has the place of each worker now, as the supervisor says."""
        return {int(number): int(pid) for pid, number in STARTED.findall(self.output())}

    async def says(self, text: str, seconds: float = 60.0) -> None:
        """Wait until it has printed this."""
        async with asyncio.timeout(seconds):
            while text not in self.output():  # a file tells nobody
                await asyncio.sleep(0.05)

    def output(self) -> str:
        """Return all that it printed."""
        return self.log.read_text(errors="replace")

    def tracebacks(self) -> list[str]:
        """Find what should never be printed."""
        return re.findall(r"Traceback[^\0]*?Error.*", self.output())

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(60)
