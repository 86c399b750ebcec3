"""What the servers have in common: where their programs are, how they start, and that they end with who wants them."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from corekit.errors import ConfigError
from corekit.testing.served import free_port
from corekit.testing.services import watchdog

EXTRA = 'pip install "corekit[dev-services]"'
ATTEMPTS = 3  # after the first
START = 60.0  # seconds for a server to answer; a laptop under load needs several


class Failed(ConfigError):
    """A server did not start; its message is the end of the server's log."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is started in a folder, and when it is there."""

    url: str
    command: list[str]
    ready: Callable[[], bool]
    first: list[list[str]] = []
    signal: int = signal.SIGTERM
    identity: dict[str, Any] = {}


class Server:
    """A server at a URL."""

    variable: ClassVar[str]

    def __init__(self, url: str, process: subprocess.Popen[bytes] | None = None) -> None:
        self.url = url
        self._process = process

    @property
    def running(self) -> bool:
        """Tell whether a server of our own still runs."""
        return self._process is not None and self._process.poll() is None

    @classmethod
    def launch(cls, folder: Path, port: int, password: str, *, keep: bool) -> Launch:
        """Write what the server needs into its folder, and say how it is started."""
        raise NotImplementedError

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Use the server that the environment names, or start one that leaves nothing behind."""
        if url := os.environ.get(cls.variable):
            yield cls(url)
            return
        with ExitStack() as stack:
            yield cls._attempt(stack, ATTEMPTS)

    @classmethod
    def _attempt(cls, stack: ExitStack, more: int) -> Self:
        folder = Path(tempfile.gettempdir()).resolve() / f"corekit-server-{secrets.token_hex(6)}"
        try:
            return stack.enter_context(cls._supervised(folder, free_port(), secrets.token_urlsafe(16), keep=False))
        except Failed as error:  # another process may have taken the port since
            if more == 0 or "in use" not in str(error):
                raise
            return cls._attempt(stack, more - 1)

    @classmethod
    @contextmanager
    def kept(cls, folder: Path, port: int, password: str, *, hold: int) -> Iterator[Self]:
        """Start a server whose data stays in a folder, on a port of the loopback address.

        `hold` is a file descriptor that stays open for as long as the server runs, whatever becomes of this process.
        """
        with cls._supervised(folder.resolve(), port, password, keep=True, hold=(hold,)) as server:
            yield server

    @classmethod
    @contextmanager
    def _supervised(
        cls, folder: Path, port: int, password: str, *, keep: bool, hold: tuple[int, ...] = ()
    ) -> Iterator[Self]:
        """Run a server, and stop it at the end or when this process dies; removes the folder unless told to keep it."""
        with _watchdog([str(folder), "keep" if keep else "remove"], hold) as process:
            folder.mkdir(mode=0o700, parents=keep, exist_ok=keep)
            launch = cls.launch(folder, port, password, keep=keep)
            plan = {"command": launch.command, "first": launch.first}
            plan |= {"signal": launch.signal, "identity": launch.identity}
            if process.stdin:
                process.stdin.write(msgspec.json.encode(plan) + b"\n")
                process.stdin.flush()
            _await(process, launch)
            yield cls(launch.url, process)


@contextmanager
def _watchdog(arguments: list[str], hold: tuple[int, ...]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: the server is stopped after whoever uses it
        pass_fds=hold,
    )
    with process:
        try:
            yield process
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait()


def _await(process: subprocess.Popen[bytes], launch: Launch) -> None:
    end = time.monotonic() + START
    while not launch.ready():
        if process.poll() is not None:
            said = process.stderr.read().decode() if process.stderr else ""
            raise Failed(f"{Path(launch.command[0]).name} does not start: {said.strip()}")
        if time.monotonic() > end:
            raise Failed(f"{Path(launch.command[0]).name} does not answer within {START:.0f} s")
        time.sleep(0.01)


def program(package: str, path: str) -> Path:
    """Find a program that a package from PyPI brings."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        raise ConfigError(f"the package {package} is not installed: {EXTRA}") from None
    found = next((file for file in files if file.as_posix().endswith(path)), None)
    if found is None:
        raise ConfigError(f"the package {package} brings no {path} for this machine")
    return Path(str(found.locate())).resolve()


def answers(port: int, request: bytes, expected: bytes) -> bool:
    """Tell whether who listens on a loopback port answers as expected: with our password, so it is our server."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(request)
        while expected not in answer and (more := connection.recv(4096)):
            answer += more
    return expected in answer


def private(path: Path, text: str) -> Path:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
    return path
