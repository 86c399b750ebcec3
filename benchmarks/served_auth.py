"""What the benchmarks of auth share: `corekit serve` in a process of its own, its CPU time, and people to sign in."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from keep_alive import Connection

from corekit.data import DatabaseSettings
from corekit.testing import free_port

PASSWORD = "correct horse battery"  # noqa: S105
_RATES = ("token", "prefix_failure", "refresh", "session_refresh", "otp")
_RATE = {"count": 10_000_000, "period": 60, "burst": 10_000_000}
LIMITS = {f"{name}_rate": _RATE for name in _RATES} | {"failures_free": 10_000_000}  # measured, not refused
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(core: int, pid: int = 0) -> None:
    """Keep a process on one core, where the system can do that and has several."""
    if len(CORES) > 1:
        os.sched_setaffinity(pid, {CORES[core % len(CORES)]})


def cpu_seconds(pid: int) -> float:
    """Read what a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(value: Any) -> str:
    """Write a value as TOML, which for these has the form of JSON but for `=`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {table(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


@asynccontextmanager
async def reference_kit(
    folder: Path,
    database: DatabaseSettings | None,
    *,
    plugins: Sequence[str] = ("auth", "realtime", "chat"),
    **auth: Any,
) -> AsyncGenerator[tuple[int, int]]:
    """Serve some plugins as `corekit serve` does, with limits that refuse nothing; yields port and pid."""
    port = free_port()
    lines = [
        "[kit]",
        f"plugins = {json.dumps(plugins)}",
        "[auth]",
        *(f"{name} = {table(value)}" for name, value in (LIMITS | auth).items()),
    ]
    if database is not None:
        roles = {"url": database.url, "owner_url": database.owner_url, "service_url": database.service_url}
        lines += ["[database]", *(f"{name} = {table(value)}" for name, value in roles.items())]
    (folder / "corekit.toml").write_text("\n".join(lines))
    arguments = ["--config", str(folder / "corekit.toml"), "--port", str(port), "--data-dir", str(folder / "var")]
    with (folder / "server.log").open("wb") as log:
        command = (sys.executable, "-m", "corekit", "serve", *arguments)
        server = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=folder)
    try:
        (await Connection.open(port)).close()
        yield port, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        await server.wait()


async def sign_up(port: int, people: int) -> Sequence[dict[str, Any]]:
    """Make accounts; return the session of each."""
    connection = await Connection.open(port)
    sessions = []
    for number in range(people):
        body = {"email": address(number), "password": PASSWORD}
        status, answer = await connection.post("/auth/v1/signup", body)
        assert status == 200, answer
        sessions.append(json.loads(answer))
    connection.close()
    return sessions


def address(number: int) -> str:
    """Name somebody."""
    return f"person.{number}@example.org"
