"""Every example runs, as its reader would run it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import connect

from corekit.testing import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.smoke

HOSTS = [("in_fastapi:app", "/corekit"), ("in_litestar:app", ""), ("in_django:application", "/corekit")]


@contextmanager
def running(folder: Path, *command: str, **environment: str) -> Iterator[str]:
    """Run a server on a free port until it is not needed; yields its URL."""
    port = str(free_port())
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", port],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONPATH": str(EXAMPLES)} | environment,
        )
    url, began = f"http://127.0.0.1:{port}", monotonic()
    try:
        while monotonic() - began < 30 and process.poll() is None:
            try:
                httpx.get(url)
            except httpx.TransportError:
                sleep(0.05)
            else:
                break
        yield url
        process.terminate()
        ended = process.wait(30)
        assert ended in {0, -signal.SIGTERM}, (folder / "output").read_text()  # uvicorn ends by the signal it got
    finally:
        process.kill()


def run(folder: Path, *command: str) -> str:
    """Run a script to its end; return what it printed."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sign_up(base: str) -> dict[str, str]:
    """Make an account; return its bearer header."""
    account = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex}
    answer = httpx.post(f"{base}/auth/v1/signup", json=account)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_two_people_chat(tmp_path: Path) -> None:
    with running(tmp_path, "corekit", "serve") as url:
        output = run(tmp_path, str(EXAMPLES / "two_people_chat.py"), url)
    assert "bob sees #3: bye" in output


def test_headless(tmp_path: Path) -> None:
    output = run(tmp_path, str(EXAMPLES / "headless.py"))
    assert "bob reads #1: hello" in output
    assert "message #1 is stored" in output


@pytest.mark.parametrize(("app", "prefix"), HOSTS)
def test_embedded(app: str, prefix: str, tmp_path: Path) -> None:
    """The host's own route, corekit's routes and the socket answer from one process."""
    with running(tmp_path, "uvicorn", app, "--lifespan", "on") as url:
        headers = sign_up(url + prefix)
        room = httpx.post(f"{url}/teams/blue", headers=headers)
        assert room.is_success, room.text
        listed = httpx.get(f"{url}{prefix}/chat/v1/conversations", headers=headers).json()
        assert [item["title"] for item in listed["items"]] == ["blue"]
        with connect(url.replace("http", "ws") + prefix + "/connection/websocket") as socket:
            token = headers["Authorization"].removeprefix("Bearer ")
            socket.send(f'{{"id":1,"connect":{{"token":"{token}"}}}}')
            assert '"client"' in str(socket.recv(timeout=5))


def test_a_third_party_plugin(tmp_path: Path) -> None:
    """Installed, it is found by its entry point; it masks a message and reacts to it."""
    uv = shutil.which("uv")
    assert uv, "uv runs these tests"
    target = tmp_path / "site"
    install = [uv, "pip", "install", "-q", "--no-deps", "--target", str(target), str(EXAMPLES / "third_party_plugin")]
    subprocess.run(install, check=True, timeout=120)
    with running(tmp_path, "corekit", "serve", PYTHONPATH=str(target)) as url:
        headers = sign_up(url)
        request = {"kind": "group", "title": "room"}
        room = httpx.post(f"{url}/chat/v1/conversations", json=request, headers=headers).json()["id"]
        messages = f"{url}/chat/v1/conversations/{room}/messages"
        with connect(url.replace("http", "ws") + "/connection/websocket") as socket:
            token = headers["Authorization"].removeprefix("Bearer ")
            socket.send(f'{{"id":1,"connect":{{"token":"{token}"}}}}')
            socket.recv(timeout=5)
            httpx.post(messages, json={"client_id": "1", "body": "Oh heck, not again"}, headers=headers)
            while "polite.thanks" not in str(socket.recv(timeout=5)):
                pass
        assert httpx.get(messages, headers=headers).json()["items"][0]["body"] == "Oh ****, not again"
