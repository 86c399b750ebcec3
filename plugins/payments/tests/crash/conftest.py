"""One fork server for all crash runs of a test process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crash_server import ForkServer  # beside this file

from corekit_payments import PaymentsPlugin

PROGRAM = Path(__file__).parent / "crash_life.py"


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    log = tmp_path_factory.mktemp("crash") / "log"
    with (
        log.open("w") as opened,
        subprocess.Popen(
            [sys.executable, str(PROGRAM)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=opened
        ) as process,
    ):
        yield ForkServer(process, log)
        assert process.stdin is not None
        process.stdin.close()  # it ends


@pytest.fixture
def migrated() -> tuple[type[PaymentsPlugin], ...]:
    """Name the plugins whose schema a new database has."""
    return (PaymentsPlugin,)
