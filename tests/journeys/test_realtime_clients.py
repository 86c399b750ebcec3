"""Unmodified realtime clients, every version and codec, against served kits: one server, and two on a bus."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment, one_server, two_servers
from realtime_flows import BACK, BETWEEN, DISTURBANCES, FLOWS
from server import Server

from corekit.data import DatabaseSettings

NEWEST = "centrifuge"
PACKAGES = ("centrifuge-3", "centrifuge-4", "centrifuge-5", NEWEST)
CLIENTS = {f"{package} {codec}": (package, codec) for package in PACKAGES for codec in ("json", "protobuf")}
HAS_NODE = shutil.which("node") is not None and shutil.which("npm") is not None
Reports = Mapping[tuple[str, str], Any]

with_node = pytest.mark.skipif(
    not HAS_NODE and not os.environ.get("CI"), reason="node and npm are not installed; CI has them"
)


@pytest.fixture
async def alone(launch: Callable[..., Server]) -> AsyncGenerator[Deployment]:
    """Deploy one server, on each database."""
    async with one_server(launch) as deployment:
        yield deployment


@pytest.fixture
async def joined(
    launch_together: Callable[..., Server], postgres_database: DatabaseSettings
) -> AsyncGenerator[Deployment]:
    """Deploy two servers on the bus of their database; the gateway's own tests hold the buses to be alike."""
    url = postgres_database.service_url
    async with two_servers(launch_together, "COREKIT_DATABASE__DIRECT_URL", url) as deployment:
        yield deployment


async def npm(deployment: Deployment, folder: Path) -> Reports:
    """Run all versions in one process; it says what was seen, and asks for what it needs, a line of JSON each."""
    clients = [
        await deployment.people(name, package=package, codec=codec, loadsState=package == NEWEST)
        for name, (package, codec) in CLIENTS.items()
    ]
    disturbances = [*DISTURBANCES, *(BETWEEN if deployment.bus else ())]
    world = {"here": deployment.here, "there": deployment.there, "http": deployment.http}
    process = await asyncio.create_subprocess_exec(
        "node",
        "realtime/main.mjs",
        json.dumps(world | {"clients": clients, "disturbances": disturbances}),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        return await _listen(process, deployment)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listen(process: asyncio.subprocess.Process, deployment: Deployment) -> Reports:
    reports: dict[tuple[str, str], Any] = {}
    assert process.stdin is not None
    assert process.stdout is not None
    async for line in process.stdout:
        said = json.loads(line)
        if "flow" in said:
            reports[said["client"], said["flow"]] = said["saw"]
        elif "ask" in said:
            answer = await _answer(deployment, said["ask"])
            process.stdin.write(json.dumps(answer).encode() + b"\n")
        else:
            return reports
    raise AssertionError(f"the process of the clients ended early, after {sorted(reports)}")


async def _answer(deployment: Deployment, question: dict[str, Any]) -> str | None:
    if "token" in question:
        return deployment.token(question["token"], question["seconds"])
    await deployment.befall(question["step"])
    return None


def check(deployment: Deployment, reports: Reports) -> None:
    """Hold what each client saw to what it must see; no server has printed a traceback."""
    disturbances = DISTURBANCES | (BETWEEN if deployment.bus else {})
    expected = FLOWS | disturbances | {f"before {name}": BACK for name in disturbances}
    wrong = [
        f"{client}, {flow}: {reports.get((client, flow), 'nothing')}\n   instead of {wanted}"
        for client, (package, _) in CLIENTS.items()
        for flow, wanted in expected.items()
        if reports.get((client, flow)) != wanted and (flow != "stated" or package == NEWEST)
    ]
    assert not wrong, "\n".join(wrong)
    assert all(server.tracebacks() == [] for server in deployment.servers)


@with_node
@pytest.mark.timeout(300)
async def test_npm_clients_on_one_server(alone: Deployment, clients: Path) -> None:
    check(alone, await npm(alone, clients))


@with_node
@pytest.mark.timeout(300)
async def test_npm_clients_on_two_servers(joined: Deployment, clients: Path) -> None:
    check(joined, await npm(joined, clients))
