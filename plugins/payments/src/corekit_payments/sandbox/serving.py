"""The sandbox as a process of its own: one path on the loopback address, for whoever has the instance's secret."""

import base64
import hmac
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from corekit.contracts.payments import OutcomeUnknown
from corekit_payments.sandbox.bank import Bank, Lost
from corekit_payments.sandbox.counter import INVALID, MISMATCH, PATH, Question, Reply

HOST = "127.0.0.1"
BODY = 16 * 1024  # bytes of a question
AT_ONCE = 64  # connections
_QUESTIONS: msgspec.json.Decoder[Question] = msgspec.json.Decoder(Question)
_SILENCE = 30  # seconds that a connection may say nothing
_BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class SandboxServer(ThreadingHTTPServer):
    """Answers from a bank: 401 without `login`, 429 where too many ask at once, nothing at all where the bank says so.

    `port` 0 is any that is free; `url` says which it became.
    """

    daemon_threads = True
    request_queue_size = 2 * AT_ONCE  # who is too many hears so, and is not left without an answer

    def __init__(self, bank: Bank, login: tuple[str, str], port: int = 0) -> None:
        self.bank = bank
        self.expected = b"Basic " + base64.b64encode(":".join(login).encode())
        self._room = threading.Semaphore(AT_ONCE)
        super().__init__((HOST, port), _Handler)
        self.url = f"http://{HOST}:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, where there is room for one more."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Say nothing of who has hung up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE
    server: SandboxServer

    def do_POST(self) -> None:
        """Answer a question."""
        status, error = self._demand()
        if error:
            self._refuse(status, error)
            return
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            asked = _QUESTIONS.decode(raw)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):  # `Money` raises its own
            self._say(INVALID, {"error": "invalid"})
            return
        try:
            self._say(200, Reply(asked.of(self.server.bank)))
        except Lost:
            self.close_connection = True
        except OutcomeUnknown as why:
            self._say(*(MISMATCH, {"error": "mismatch"}) if why.mismatch else (500, {"error": why.reason}))
        except Exception:  # noqa: BLE001  # who asks is told no more than a provider would say
            self._say(500, {"error": "fault"})

    def _demand(self) -> tuple[int, str]:
        """Say what is wrong with a request before its body is read."""
        login = (self.headers.get("authorization") or "").encode("utf-8", "replace")
        length = self.headers.get("content-length") or ""
        if not hmac.compare_digest(login, self.server.expected):
            return 401, "unauthorized"
        if self.path != PATH:
            return 404, "not found"
        if "transfer-encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            return 411, "length required"
        return (413, "too long") if len(length) > len(str(BODY)) or int(length) > BODY else (200, "")

    def _refuse(self, status: int, error: str) -> None:
        """Say no, and read nothing more."""
        self.close_connection = True
        self._say(status, {"error": error})

    def _say(self, status: int, what: Any) -> None:
        body = msgspec.json.encode(what)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse what is no request, without a page."""
        self._refuse(code, message or "")

    def version_string(self) -> str:
        """Name no version."""
        return "corekit-sandbox"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base
        """Log nothing: what is asked has keys and references in it."""
