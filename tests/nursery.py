"""`corekit` as a user runs it, without the second that Python takes to import it: forked from a process that has.

A command has its own arguments, environment, folder, streams and exit code. What looks at imports, at signals or at a
command that goes on, starts a process of its own instead.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["corekit.cli.main", "corekit.web", "corekit_auth", "corekit_chat", "corekit_payments", "corekit_realtime"]
)


def run_corekit(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end; without `env` it has the environment of the tests.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.

    """
    environment = dict(os.environ if env is None else env)
    with tempfile.TemporaryDirectory() as streams:
        said, complained = Path(streams, "stdout"), Path(streams, "stderr")
        child = _FORKS.Process(target=_run, args=(folder, arguments, environment, said, complained))
        child.start()
        try:
            child.join(timeout)
            if child.exitcode is None:
                raise subprocess.TimeoutExpired(arguments, timeout)
            code = child.exitcode
        finally:
            child.kill()
            child.join()
            child.close()
        return subprocess.CompletedProcess(["corekit", *arguments], code, said.read_text(), complained.read_text())


def _run(folder: Path, arguments: tuple[str, ...], env: Mapping[str, str], said: Path, complained: Path) -> None:
    """Be the command."""
    from corekit.cli import main  # noqa: PLC0415  # it is imported where this runs

    for number, path in ((1, said), (2, complained)):
        with path.open("wb") as stream:
            os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = ["corekit", *arguments]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]  # what a supervisor starts again
    main()
