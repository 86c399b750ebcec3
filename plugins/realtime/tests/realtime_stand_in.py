"""A stand-in for Centrifugo's HTTP server API, strict: it refuses unknown fields, wrong types and a missing key.

`python realtime_stand_in.py KEY` listens on a free port of the loopback address and prints it. What a test wants to
know or change is at `/control`, which no Centrifugo has.
"""

import json
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from realtime_centrifugo import API, Schema  # beside this file

SCHEMA = Schema("api", API)
FORMS = {
    "publish": "PublishRequest",
    "broadcast": "BroadcastRequest",
    "unsubscribe": "UnsubscribeRequest",
    "disconnect": "DisconnectRequest",
    "presence": "PresenceRequest",
    "presence_stats": "PresenceStatsRequest",
    "info": "InfoRequest",
    "batch": "BatchRequest",
}
NOT_FOUND, BAD_REQUEST, UNKNOWN_CHANNEL = (
    {"code": 104, "message": "method not found"},
    {"code": 107, "message": "bad request"},
    {"code": 102, "message": "unknown channel"},
)


class State:
    """What was asked, and how to answer next."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.requests: list[str] = []  # one per HTTP request that was read
        self.commands: list[dict[str, Any]] = []  # one per command that was done
        self.published: list[dict[str, Any]] = []  # without what a key showed to be a repetition
        self.seen: dict[tuple[str, str], dict[str, Any]] = {}
        self.statuses: list[int] = []  # HTTP statuses of the next requests, in place of an answer
        self.errors: list[int] = []  # errors of the next commands
        self.lost: int = 0  # so many next requests are done, but their answers are an HTTP 502
        self.slow: float = 0.0  # seconds before each answer
        self.presence: dict[str, Any] = {}

    def do(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Do one command; return its result or error, as a response has them."""
        if self.errors and (code := self.errors.pop(0)):
            return {"error": {"code": code, "message": "as told"}}
        for channel in [request["channel"]] if "channel" in request else request.get("channels", []):
            if channel.startswith("nowhere:"):
                return {"error": UNKNOWN_CHANNEL}
        if name in {"publish", "broadcast"} and "data" not in request:
            return {"error": BAD_REQUEST}
        self.commands.append({name: request})
        return {"result": self._done(name, request)}

    def batch(self, commands: list[dict[str, Any]]) -> dict[str, Any]:
        """Do commands in order."""
        replies = []
        for command in commands:
            name = next(iter(command), "")
            answer = self.do(name, command[name]) if name else {"error": NOT_FOUND}
            replies.append({"error": answer["error"]} if "error" in answer else {name: answer["result"]})
        return {"replies": replies}

    def _done(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        there = self.presence.get(request.get("channel", ""), {})
        results: dict[str, Callable[[], dict[str, Any]]] = {
            "publish": lambda: self._publish(request["channel"], request),
            "broadcast": lambda: {
                "responses": [{"result": self._publish(one, request)} for one in request["channels"]]
            },
            "presence": lambda: {"presence": there},
            "presence_stats": lambda: {
                "num_clients": len(there),
                "num_users": len({one["user"] for one in there.values()}),
            },
            "info": lambda: {"nodes": []},
        }
        return results.get(name, dict)()

    def _publish(self, channel: str, request: dict[str, Any]) -> dict[str, Any]:
        key = (channel, request.get("idempotency_key", ""))
        if key[1] and key in self.seen:
            return self.seen[key]
        self.published.append({"channel": channel, "data": request["data"]})
        result = {"offset": sum(one["channel"] == channel for one in self.published), "epoch": "stand"}
        self.seen[key] = result
        return result


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    state: State

    def do_GET(self) -> None:  # the base's name
        """Tell what was asked."""
        state = self.state
        told = {name: getattr(state, name) for name in ("requests", "commands", "published", "statuses", "errors")}
        self._answer(200, told)

    def do_POST(self) -> None:  # the base's name
        """Do what the path says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/control":
            vars(self.state).update(json.loads(body))
            self._answer(200, {})
            return
        time.sleep(self.state.slow)
        self.state.requests.append(self.path)
        if self.state.statuses:
            self._answer(self.state.statuses.pop(0), {})
            return
        status, answer = self._do(self.path.removeprefix("/api/"), body)
        if self.state.lost:
            self.state.lost, status = self.state.lost - 1, 502
        self._answer(status, answer)

    def _do(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.headers.get("X-API-Key") != self.state.key:
            return 401, {}
        if name not in FORMS or not self.path.startswith("/api/"):
            return 404, {}
        try:
            request = json.loads(body)
            SCHEMA.check(FORMS[name], request)
        except ValueError as error:  # no JSON, or Unfit
            return 400, {"why": str(error)}
        if name == "batch":
            return 200, self.state.batch(request["commands"])
        return 200, self.state.do(name, request)

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until the process is ended."""
    Handler.state = State(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)  # noqa: T201  # the test waits for it
    server.serve_forever()


if __name__ == "__main__":
    main()
