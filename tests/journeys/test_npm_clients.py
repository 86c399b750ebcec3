"""The unmodified npm clients against a served kit."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

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


class Judge(BaseHTTPRequestHandler):
    """Answers as the verifiers of captchas and the range service of leaked passwords do; it knows one password."""

    leaked = hashlib.sha1(b"a password that leaked", usedforsecurity=False).hexdigest().upper()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = form == {"secret": ["ours"], "response": ["solved"], "remoteip": form.get("remoteip")}
        self._say(json.dumps({"success": right}))

    def do_GET(self) -> None:
        known = self.path == f"/range/{self.leaked[:5]}" and self.headers["Add-Padding"] == "true"
        self._say(f"{self.leaked[5:]}:3\r\n{'0' * 35}:0" if known else f"{'0' * 35}:0")

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_auth_js_where_forms_are_guarded(launch: Callable[..., Server], clients: Path) -> None:
    """Captchas that a verifier judges, and passwords that leaked, as the client tells of them."""
    server = launch(COREKIT_WEB__TRUSTED_PROXIES='["127.0.0.1"]')
    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as judge:
        thread = threading.Thread(target=judge.serve_forever)
        thread.start()
        where = f"http://127.0.0.1:{judge.server_port}"
        guards = {"captcha": "turnstile", "captcha_secret": "ours", "captcha_url": where, "hibp_url": where}
        guards |= {"hibp": "true", "anonymous": "true", "external_url": server.url}
        server.configure(**{f"COREKIT_AUTH__{name}".upper(): value for name, value in guards.items()})
        try:
            server.start()
            node(clients, "auth/guards.mjs", json.dumps({"url": server.url}))
        finally:
            judge.shutdown()
            thread.join()
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
