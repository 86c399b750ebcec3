"""A strict stand-in for Stripe's API over HTTP: what is asked of it counts, and it fails as a test says.

It is ours, written from Stripe's documentation: it shows that the adapter keeps to the protocol of keys and errors,
and not what Stripe does with a card.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from corekit_payments.stripe.line import VERSION

KEY = "sk_test_" + "0" * 24
NOW = 1893456000  # 2030-01-01

Answer = tuple[int, Any]


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    form: list[tuple[str, str]]


@dataclass
class StandIn:
    """Its objects, what it was asked, and what it does to the next requests instead of answering."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    declines: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    moved: list[tuple[str, int]] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))
    address: str = ""

    def made(self, kind: str) -> list[dict[str, Any]]:
        """List objects of a kind, the newest first."""
        return [one for one in reversed(self.objects.values()) if one["object"] == kind]

    def fail(self, *faults: str) -> None:
        """Do this to the next requests."""
        self.faults.extend(faults)

    def answer(self, asked: Asked) -> Answer:
        """Answer as the protocol says: entitlement, version, key, and then the request itself."""
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return 401, error("invalid_request_error", "api_key_invalid")
        if asked.headers.get("stripe-version") != VERSION:
            return 400, error("invalid_request_error", "version")
        if asked.method == "GET":
            return self._get(asked)
        if not (key := asked.headers.get("idempotency-key")):
            return 400, error("invalid_request_error", "no_key_was_sent")
        same = f"{asked.path} {sorted(asked.form)}"
        if key in self.keys:
            before, answer = self.keys[key]
            return answer if before == same else (400, error("idempotency_error", None))
        stored = self.faults[:1] == ["stored_500"]
        answer = (500, error("api_error", None)) if stored else self._post(asked)
        if stored:
            self.faults.pop(0)
            self._post(asked)  # whether it was done is not to be seen
        self.keys[key] = same, answer
        return answer

    def _get(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.path).path.removeprefix("/v1/").split("/")
        if len(parts) == 2:  # a resource and an object
            found = self.objects.get(parts[1])
            return (200, found) if found else (404, error("invalid_request_error", "resource_missing"))
        query = dict(asked.form)
        since, before = int(query.get("created[gte]", 0)), int(query.get("created[lt]", 1 << 40))
        every = [one for one in self.made(parts[0].removesuffix("s")) if since <= one["created"] < before]
        names = [one["id"] for one in every]
        start = names.index(query["starting_after"]) + 1 if "starting_after" in query else 0
        page = every[start : start + int(query["limit"])]
        return 200, {"object": "list", "data": page, "has_more": start + len(page) < len(every)}

    def _post(self, asked: Asked) -> Answer:
        form, parts = nested(asked.form), asked.path.removeprefix("/v1/").split("/")
        verbs: dict[tuple[str, ...], Callable[..., Answer]] = {
            ("payment_intents",): self._create, ("payment_intents", "capture"): self._capture,
            ("payment_intents", "cancel"): self._cancel, ("payment_intents", "confirm"): self._confirm,
            ("refunds",): self._refund,
        }  # fmt: skip
        verb = verbs[parts[0], *parts[2:]]
        return verb(form) if len(parts) == 1 else verb(self.objects[parts[1]], form)

    def _create(self, form: dict[str, Any]) -> Answer:
        id_ = f"pi_{next(self.numbers)}"
        amount, means = int(form["amount"]), form.get("payment_method", "")
        intent = self.objects[id_] = {
            "id": id_, "object": "payment_intent", "amount": amount, "currency": form["currency"],
            "created": NOW + next(self.numbers), "status": "requires_payment_method", "amount_received": 0,
            "client_secret": f"{id_}_secret_x", "metadata": form["metadata"], "livemode": False,
            "latest_charge": None, "next_action": None, "last_payment_error": None,
            "capture_method": form["capture_method"],
        }  # fmt: skip
        if means in self.declines:
            intent["last_payment_error"] = self.declines[means]
            return 402, {"error": {**self.declines[means], "payment_intent": dict(intent)}}
        if "return_url" in form and means == "pm_3ds":
            url = {"url": "https://hooks.stripe.com/3d", "return_url": form["return_url"]}
            intent |= {"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": url}}
        elif means == "pm_3ds":
            intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {}}}
        elif means:
            self._charge(intent)
        return 200, intent

    def _charge(self, intent: dict[str, Any]) -> None:
        card = {"card": {"capture_before": intent["created"] + 7 * 86400, "last4": "4242"}}
        intent["latest_charge"] = {"id": f"ch_{intent['id']}", "object": "charge", "payment_method_details": card}
        held = intent["capture_method"] == "manual"
        intent |= {"status": "requires_capture" if held else "succeeded", "next_action": None}
        intent["amount_received"] = 0 if held else intent["amount"]
        self.moved += [(kind, intent["amount"]) for kind in (["authorize"] if held else ["authorize", "capture"])]

    def _confirm(self, intent: dict[str, Any], _: dict[str, Any]) -> Answer:
        self._charge(intent)
        return 200, intent

    def _capture(self, intent: dict[str, Any], form: dict[str, Any]) -> Answer:
        amount = int(form["amount_to_capture"])
        if intent["status"] != "requires_capture" or intent["amount_received"] + amount > intent["amount"]:
            return 400, unexpected(intent)
        intent["amount_received"] += amount
        self.moved.append(("capture", amount))
        intent["metadata"] |= form["metadata"]
        intent["status"] = "requires_capture" if form.get("final_capture") == "false" else "succeeded"
        return 200, intent

    def _cancel(self, intent: dict[str, Any], form: dict[str, Any]) -> Answer:
        if intent["status"] in {"canceled", "succeeded"}:
            return 400, unexpected(intent)
        intent |= {"status": "canceled", "cancellation_reason": form["cancellation_reason"]}
        self.moved.append(("void", intent["amount"]))
        return 200, intent

    def _refund(self, form: dict[str, Any]) -> Answer:
        intent = self.objects[form["payment_intent"]]
        amount = int(form["amount"])
        back = sum(one["amount"] for one in self.made("refund") if one["payment_intent"] == intent["id"])
        if back + amount > intent["amount_received"]:
            return 400, error("invalid_request_error", "charge_already_refunded")
        self.moved.append(("refund", amount))
        id_ = f"re_{next(self.numbers)}"
        refund = self.objects[id_] = {
            "id": id_, "object": "refund", "amount": amount, "currency": intent["currency"],
            "created": NOW + next(self.numbers), "status": "succeeded", "payment_intent": intent["id"],
            "metadata": form["metadata"], "failure_reason": None,
        }  # fmt: skip
        return 200, refund


def error(type_: str, code: str | None, **more: Any) -> dict[str, Any]:
    return {"error": {"type": type_, "code": code, "message": "Alice's words", **more}}


def unexpected(intent: dict[str, Any]) -> dict[str, Any]:
    return error("invalid_request_error", "payment_intent_unexpected_state", payment_intent=dict(intent))


def nested(form: list[tuple[str, str]]) -> dict[str, Any]:
    """Read `a[b]` as an object's member and `a[0]` as a list's."""
    found: dict[str, Any] = {}
    for name, value in form:
        at, *inner = name.replace("]", "").split("[")
        within = found
        for key in inner:
            within, at = within.setdefault(at, {}), key
        within[at] = value
    return found


FAULTS: dict[str, bytes] = {
    "429": b"HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 47\r\n\r\n"
    b'{"error":{"type":"api_error","code":"limited"}}',
    "401": b'HTTP/1.1 401 x\r\ncontent-length: 44\r\n\r\n{"error":{"type":"invalid_request_error"}}  ',
    "403": b'HTTP/1.1 403 x\r\ncontent-length: 44\r\n\r\n{"error":{"type":"invalid_request_error"}}  ',
    "409": b'HTTP/1.1 409 x\r\ncontent-length: 44\r\n\r\n{"error":{"type":"invalid_request_error"}}  ',
    "in_use": b"HTTP/1.1 400 x\r\ncontent-length: 67\r\n\r\n"
    b'{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"',
    "302": b"HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    "html_400": b"HTTP/1.1 400 x\r\ncontent-length: 6\r\n\r\n<html>",
    "html_502": b"HTTP/1.1 502 x\r\ncontent-length: 6\r\n\r\n<html>",
    "html_200": b"HTTP/1.1 200 x\r\ncontent-length: 6\r\n\r\n<html>",
    "list_200": b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n[]",
    "null_200": b"HTTP/1.1 200 x\r\ncontent-length: 4\r\n\r\nnull",
    "list_400": b"HTTP/1.1 400 x\r\ncontent-length: 2\r\n\r\n[]",
    "empty_200": b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n{}",
    "half": b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{",
    "huge": b"HTTP/1.1 200 x\r\ncontent-length: 2000000\r\n\r\n" + b" " * 2_000_000,
    "mismatch": b"HTTP/1.1 400 x\r\ncontent-length: 38\r\n\r\n" + b'{"error":{"type":"idempotency_error"}}',
    "invalid": b"HTTP/1.1 400 x\r\ncontent-length: 42\r\n\r\n" + b'{"error":{"type":"invalid_request_error"}}',
    "unmapped": b"HTTP/1.1 418 x\r\ncontent-length: 28\r\n\r\n" + b'{"error":{"type":"brewing"}}',
    "drop": b"",
}


@asynccontextmanager
async def serving() -> AsyncGenerator[StandIn]:
    """Listen on this machine alone, on a port of the system's choice."""
    stand_in = StandIn()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _one(stand_in, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    stand_in.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield stand_in


async def _one(stand_in: StandIn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request, answer it, and close."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    form = parse_qsl(body.decode() if method == "POST" else url.query, keep_blank_values=True)
    asked = Asked(method, url.path, headers, form)
    stand_in.asked.append(asked)
    fault = stand_in.faults.pop(0) if stand_in.faults and stand_in.faults[0] != "stored_500" else None
    if fault == "hang":
        await reader.read()  # until who asked has gone
    elif fault == "drop_after":
        stand_in.answer(asked)
    elif fault is not None:
        writer.write(FAULTS[fault])
        await writer.drain()
    else:
        status, answer = stand_in.answer(asked)
        text = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))
        await writer.drain()
