"""The unmodified npm clients against a served kit."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        ["node", "--test-reporter=spec", script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^(ok |ℹ pass [1-9])", done.stdout, re.MULTILINE)


def auth_settings(url: str, issuer: str) -> dict[str, Any]:
    """Switch everything on that the client can reach without a browser; limits by address and by time stay."""
    one = {"kind": "oidc", "issuer": issuer}
    return {
        "external_url": url,
        "mailer_autoconfirm": False,
        "phone_autoconfirm": False,
        "anonymous": True,
        "phone": True,
        "phone_factor": True,
        "manual_linking": True,
        "redirect_allow": ["http://localhost:3000/*"],
        "address_interval_rate": {"count": 100, "period": 1, "burst": 100},  # otherwise one mail a minute
        "social": {
            "keycloak": one | {"client_id": "posts", "client_secret": "secret of posts %:&"},
            "gitlab": one | {"client_id": "basic", "client_secret": "secret of basic %:&", "client_auth": "basic"},
            "public": one | {"client_id": "public"},
        },
    }


def test_auth_js(
    launch: Callable[..., Server], clients: Path, openid_provider: Callable[[str], str], tmp_path: Path
) -> None:
    """`@supabase/auth-js` goes through every flow, against one server; the flows are in `clients/auth`."""
    clock = tmp_path / "ahead"
    clock.write_text("0")
    server = launch(clock=clock)
    callback = f"{server.url}/auth/v1/callback"
    issuer = openid_provider(callback)
    settings = auth_settings(server.url, issuer)
    server.configure(**{f"COREKIT_AUTH__{name}".upper(): setting(value) for name, value in settings.items()})
    server.configure(COREKIT_WEB__TRUSTED_PROXIES='["127.0.0.1"]')  # each client has an address of its own
    server.start()
    key = server.command("auth", "keys", "issue", "--role", "service_role")
    world = {"url": server.url, "key": key, "issuer": issuer, "callback": callback, "clock": str(clock)}
    node(clients, "auth/main.mjs", json.dumps(world))
    assert server.tracebacks() == []


def test_asyncapi_document(clients: Path, tmp_path: Path) -> None:
    """What `corekit asyncapi` prints fits the schema of AsyncAPI 3.0, and the data that the server takes."""
    file = tmp_path / "asyncapi.json"
    file.write_text(Server(tmp_path, {}).command("asyncapi"))
    node(clients, "asyncapi.mjs", str(file))


def setting(value: Any) -> str:
    """Write a setting as an environment variable."""
    return value if isinstance(value, str) else json.dumps(value)


async def test_centrifuge_js(launch: Callable[..., Server], clients: Path) -> None:
    """`centrifuge` connects, subscribes, sends, loses its connection and recovers what it missed."""
    server = launch()
    server.start()
    async with httpx.AsyncClient(base_url=server.url) as http:
        ann, ben = await sign_up(http, "ann"), await sign_up(http, "ben")
        conversation = await group(http, ann, ben)
    node(clients, "realtime.mjs", server.socket, ann.access_token, conversation, ben.access_token)
    assert server.tracebacks() == []
