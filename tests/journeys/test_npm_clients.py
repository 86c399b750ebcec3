"""The unmodified npm clients against a served kit."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from people import group, sign_up
from server import Server

CLIENTS = Path(__file__).parent / "clients"
HAS_NODE = shutil.which("node") is not None and shutil.which("npm") is not None

pytestmark = pytest.mark.skipif(
    not HAS_NODE and not os.environ.get("CI"), reason="node and npm are not installed; CI has them"
)


def node(folder: Path, script: str, *arguments: str) -> None:
    """Run a script; it asserts by itself."""
    done = subprocess.run(
        ["node", script, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("ok")


def test_auth_js(launch: Callable[..., Server], clients: Path) -> None:
    """`@supabase/auth-js` signs up, logs in, refreshes, changes and logs out."""
    server = launch()
    server.start()
    node(clients, "auth.mjs", server.url)
    assert server.tracebacks() == []


async def test_centrifuge_js(launch: Callable[..., Server], clients: Path) -> None:
    """`centrifuge` connects, subscribes, sends, loses its connection and recovers what it missed."""
    server = launch()
    server.start()
    async with httpx.AsyncClient(base_url=server.url) as http:
        ann, ben = await sign_up(http, "ann"), await sign_up(http, "ben")
        conversation = await group(http, ann, ben)
    node(clients, "realtime.mjs", server.socket, ann.access_token, conversation, ben.access_token)
    assert server.tracebacks() == []
