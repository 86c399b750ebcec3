"""How long until a server is ready on an empty database, and what importing corekit costs over its dependencies."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

from corekit.testing import free_port

ROUNDS = 5
DEPENDENCIES = (
    "sqlalchemy.ext.asyncio, sqlalchemy.orm, alembic.command, structlog, msgspec, pluggy, aiosqlite, "
    "cryptography.hazmat.primitives.ciphers.aead, cryptography.hazmat.primitives.hmac"
)


def seconds_to_ready() -> float:
    """Start a server in an empty folder; wait for `/ready`."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "corekit", "serve", "--port", str(port)],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while time.perf_counter() - began < 60:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/ready").is_success:
                        return time.perf_counter() - began
                except httpx.TransportError:
                    time.sleep(0.01)
            raise TimeoutError(Path(folder))
        finally:
            process.terminate()
            process.wait()


def import_cpu(modules: str) -> float:
    """Take the CPU seconds of a fresh interpreter that imports these."""
    before = os.times()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def main() -> None:
    """Print medians."""
    seconds_to_ready()  # warms the file cache
    ready = [seconds_to_ready() for _ in range(ROUNDS)]
    print(f"corekit serve, empty database, ready after (goal < 2 s): {median(ready):.2f} s")
    over = [import_cpu(f"{DEPENDENCIES}, corekit") - import_cpu(DEPENDENCIES) for _ in range(ROUNDS)]
    print(f"import corekit over its dependencies (goal < 0.5 s CPU): {median(over):.2f} s")


if __name__ == "__main__":
    main()
