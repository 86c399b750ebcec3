"""The sandbox's process for tests, and a bad line before it."""

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from elsewhere import ElsewherePlugin  # in the payments tests

from corekit.contracts.payments import Provider, ProviderSettings, payment_providers
from corekit.data import DatabaseSettings
from corekit.testing import make_kit
from corekit.testing.payments import Trouble
from corekit_payments import PaymentsPlugin, PaymentsSettings

SECRET = "a secret of the sandbox's"
# What the line answers in the process's place: status, headers, body.
ANSWERS: dict[Trouble, tuple[int, dict[str, str], bytes]] = {
    "unauthorized": (401, {}, b'{"error":"unauthorized"}'),
    "forbidden": (403, {}, b"{}"),
    "throttled": (429, {"Retry-After": "7"}, b""),
    "fault": (502, {}, b"<html>"),
    "unreadable": (200, {}, b"<html>"),
    "too_long": (200, {}, b" " * (2 << 20)),
    "redirect": (302, {"Location": "https://elsewhere.invalid/"}, b""),
    "in_progress": (409, {}, b'{"error":"in progress"}'),
    "mismatch": (422, {}, b'{"error":"mismatch"}'),
    "invalid": (400, {}, b'{"error":"invalid"}'),
    "unmapped": (418, {}, b'{"error":"teapot"}'),
}


@contextmanager
def process(folder: Path, *, name: str = "sandbox", port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `corekit payments sandbox serve` with its journal below a folder; yields its address."""
    command = [sys.executable, "-m", "corekit", "payments", "sandbox", "serve", "--port", str(port)]
    command += ["--instance", name]
    given = {"COREKIT_PAYMENTS__PROVIDERS": f'{{"{name}": {{"kind": "sandbox", "key_secret": "{SECRET}"}}}}'}
    config = folder / "corekit.toml"
    config.write_text('[kit]\nplugins = ["payments"]\n', "utf-8")
    where = ["--config", str(config), "--data-dir", str(folder)]
    with subprocess.Popen(
        [*command, *where], stdout=subprocess.PIPE, text=True, env={**os.environ, **given}
    ) as started:
        try:
            assert started.stdout is not None
            yield started.stdout.readline().strip(), started
        finally:
            started.kill()


class BadLine(ThreadingHTTPServer):
    """Carries calls to a process, unless there is `trouble`; closed, it carries none any more."""

    daemon_threads = False

    def __init__(self, to: str) -> None:
        self.to = to.removeprefix("http://")
        self.trouble: Trouble | None = None
        self.calm = threading.Event()
        super().__init__(("127.0.0.1", 0), _Carrier)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def open(self) -> Iterator["BadLine"]:
        """Carry as long as this is open."""
        thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.calm.set()
            self.cut()
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of who did not wait for an answer that never comes."""

    def cut(self) -> None:
        """Let nobody in any more."""
        self.shutdown()
        self.server_close()


class _Carrier(BaseHTTPRequestHandler):
    server: BadLine

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        trouble = self.server.trouble
        if trouble in ANSWERS:
            status, headers, body = ANSWERS[trouble]
        else:
            inside = http.client.HTTPConnection(self.server.to, timeout=30)
            inside.request("POST", self.path, raw, {"Authorization": self.headers["authorization"]})
            if trouble == "timeout":
                self.server.calm.wait()
            try:
                answer = inside.getresponse()
                status, headers, body = answer.status, {}, answer.read()
            except http.client.RemoteDisconnected:
                return
            finally:
                inside.close()
        if trouble == "dropped":
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base
        pass


async def brought(folder: Path, env: str, **fields: Any) -> list[Provider]:
    """Start a kit with an instance in an environment, and return its adapter."""
    settings = ProviderSettings(kind="sandbox", name="sandbox", **fields)
    plugin = PaymentsPlugin(PaymentsSettings(sweep=False, providers={"sandbox": settings}))
    database = DatabaseSettings(url=f"sqlite:///{folder / 'test.db'}")
    async with make_kit([ElsewherePlugin(env), plugin], database=database, tmp_path=folder) as kit:
        return [one for many in await kit.hooks.each(payment_providers, settings) for one in many]
