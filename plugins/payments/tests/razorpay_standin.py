"""A strict stand-in of Razorpay's API on the loopback address: it refuses what the reference does not name."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

LOGIN, WEBHOOK = ("rzp_test_standin", "sEcReTkEy"), "wHsEcReT"
LINK = "upi://pay?ver=01&mode=15&pa=rzr.standin27230053@icici&pn=Stand%20In+Shop&tr={tr}&cu=INR&am={am}&sign=MEQ+/b=="


class Refusal(Exception):
    """An answer that is no object."""

    def __init__(self, status: int, code: str, text: str = "", reason: str = "NA") -> None:
        super().__init__(text)
        self.status = status
        self.body = {"error": {"code": code, "description": text, "reason": reason, "source": "NA", "metadata": {}}}


def bad(text: str, reason: str = "input_validation_failed") -> Refusal:
    return Refusal(400, "BAD_REQUEST_ERROR", text, reason)


def strict(body: dict[str, Any], **members: tuple[type, bool]) -> None:
    """Refuse members that are unknown, missing or of another type; `True` is needed."""
    for name in body.keys() - members.keys():
        raise bad(f"{name} is/are not required and should not be sent")
    for name, (type_, needed) in members.items():
        if (needed and name not in body) or (name in body and type(body[name]) is not type_):
            raise bad(f"The {name} field is required")


class StandIn:
    """The service: its objects, what has moved, and the `trouble` that the next POST meets."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[Any, str]] = {}
        self.moved: list[tuple[str, int]] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.recon: list[dict[str, Any]] = []
        self.trouble = ""
        self.now = 1893499200  # 2030-01-01
        self.image_content = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def pay(self, ref: str, *, failed: str | None = None) -> dict[str, Any]:
        """Be the payer of an order or a QR code."""
        if ref.startswith("qr_"):
            code = self.codes[ref]
            payment = self._payment(code["payment_amount"], None, code["notes"], qr=ref)
            code["status"], capture = "closed", "automatic"
        else:
            order = self.orders[ref]
            payment = next(
                one for one in self.payments.values() if one["order_id"] == ref and one["status"] == "created"
            )
            capture = order["notes"]["capture"]
        if failed:
            payment |= {"status": "failed", "error_code": "BAD_REQUEST_ERROR", "error_reason": failed}
            return payment
        self.moved.append(("authorize", payment["amount"]))
        payment |= {"status": "authorized", "acquirer_data": {"rrn": "012345678901"}, "vpa": "payer@okicici"}
        return payment if capture == "manual" else self._capture(payment)

    def notice(self, event: str, **entities: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        """Sign a notice."""
        payload = {name: {"entity": entity} for name, entity in entities.items()}
        raw = json.dumps({"entity": "event", "event": event, "contains": [*entities], "payload": payload}).encode()
        signature = hmac.new(WEBHOOK.encode(), raw, hashlib.sha256).hexdigest()
        return {"x-razorpay-signature": signature, "x-razorpay-event-id": f"evt_{uuid4().hex[:14]}"}, raw

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
            raw = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = line.split(" ")
            if self.trouble in {"timeout", "dropped"} and method == "POST":
                if self.trouble == "timeout":
                    await reader.read()  # until they give up
                return
            status, body, more = self._answer(method, target, headers, raw)
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n{more}\r\n".encode() + text
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, Any, str]:
        parts = urlsplit(target)
        body = json.loads(raw) if raw else {}
        self.asked.append((method, parts.path, body))
        wanted = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()
        if headers.get("authorization") != wanted:
            return 401, {"error": {"code": "BAD_REQUEST_ERROR", "description": "Authentication failed"}}, ""
        if method == "POST" and (met := self._meet(self.trouble, parts.path, body)):
            return met
        try:
            return 200, self._route(method, parts.path, dict(parse_qsl(parts.query)), body, headers), ""
        except Refusal as refusal:
            return refusal.status, refusal.body, ""

    def _meet(self, trouble: str, path: str, body: Any) -> tuple[int, Any, str] | None:
        error = {"error": {"code": "SERVER_ERROR", "description": "We are facing some trouble"}}
        if trouble == "mismatch":
            if path == "/orders":
                self._order({**body, "amount": body["amount"] + 1})
                return 400, bad("Receipt should be unique").body, ""
            return 400, bad("Different request body sent with the same idempotency key").body, ""
        new = {"error": {"code": "NEW_ERROR", "reason": "nobody_knows"}}
        odd: dict[str, tuple[int, Any, str]] = {
            "unauthorized": (401, error, ""),
            "forbidden": (403, error, ""),
            "throttled": (429, error, "Retry-After: 7\r\n"),
            "fault": (502, b"<html>", ""),
            "unreadable": (200, b'{"id": "ord', ""),
            "too_long": (200, b" " * 2**21, ""),
            "redirect": (302, b"", "Location: http://127.0.0.1:1/\r\n"),
            "in_progress": (409, error, ""),
            "invalid": (400, bad("The amount must be an integer").body, ""),
            "unmapped": (400, new, ""),
        }
        return odd.get(trouble)

    def _route(self, method: str, path: str, query: dict[str, str], body: Any, headers: Mapping[str, str]) -> Any:
        if method == "POST":
            return self._post(path, body, headers)
        one = re.fullmatch(r"/(orders|payments|refunds|payments/qr_codes)/([A-Za-z0-9_]+)(/payments)?", path)
        tables = {"orders": self.orders, "payments": self.payments, "refunds": self.refunds,
                  "payments/qr_codes": self.codes}  # fmt: skip
        if path == "/settlements/recon/combined":
            return self._page(self.recon, query, {"year", "month", "day"})
        if path[1:] in tables:
            rows = [row for row in tables[path[1:]].values() if query.get("receipt") in {None, row.get("receipt")}]
            return self._page(rows, query, {"receipt", "from"})
        if one is None or one[2] not in tables[one[1]]:
            raise Refusal(400, "BAD_REQUEST_ERROR", "The id provided does not exist")
        if one[3]:
            rows = [row for row in self.payments.values() if one[2] in {row["order_id"], row["_qr"]}]
            return self._page(rows, query, set())
        return tables[one[1]][one[2]]

    def _post(self, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        if path == "/orders":
            strict(body, amount=(int, True), currency=(str, True), receipt=(str, True), notes=(dict, False),
                   unique_receipt=(bool, False), payment=(dict, False))  # fmt: skip
            if any(row["receipt"] == body["receipt"] for row in self.orders.values()):
                raise bad("Receipt should be unique")
            return self._order(body)
        if path == "/payments/create/upi":
            strict(body, amount=(int, True), currency=(str, True), order_id=(str, True), method=(str, True),
                   contact=(str, True), email=(str, True), notes=(dict, False), upi=(dict, True))  # fmt: skip
            return self._intent(body)
        if path == "/payments/qr_codes":
            strict(body, type=(str, True), name=(str, True), usage=(str, True), fixed_amount=(bool, True),
                   payment_amount=(int, True), close_by=(int, True), notes=(dict, False))  # fmt: skip
            return self._code(body)
        payment, verb = self.payments[path.split("/")[2]], path.split("/")[3]
        if verb == "capture":
            strict(body, amount=(int, True), currency=(str, True))
            if payment["status"] != "authorized" or body["amount"] != payment["amount"]:
                raise bad("This payment has already been captured, or the amount differs")
            return self._capture(payment)
        strict(body, amount=(int, True), speed=(str, False), notes=(dict, False))
        return self._refund(payment, body, headers.get("x-refund-idempotency", ""))

    def _order(self, body: Any) -> dict[str, Any]:
        made = {"id": f"order_{uuid4().hex[:14]}", "entity": "order", "status": "created", "created_at": self.now,
                "attempts": 0, **{name: body[name] for name in ("amount", "currency", "receipt", "notes")}}  # fmt: skip
        self.orders[made["id"]] = made
        return made

    def _payment(self, amount: int, order: str | None, notes: Any, qr: str | None = None) -> dict[str, Any]:
        made = {"id": f"pay_{uuid4().hex[:14]}", "entity": "payment", "amount": amount, "currency": "INR",
                "status": "created", "order_id": order, "method": "upi", "captured": False, "amount_refunded": 0,
                "notes": notes or [], "fee": None, "error_code": None, "error_reason": None, "error_source": None,
                "created_at": self.now, "email": "payer@example.com", "_qr": qr}  # fmt: skip
        self.payments[str(made["id"])] = made
        return made

    def _intent(self, body: Any) -> dict[str, Any]:
        order = self.orders.get(body["order_id"])
        if order is None or order["amount"] != body["amount"] or body["upi"] != {"flow": "intent"}:
            raise bad("Your payment amount is different from your order amount")
        payment = self._payment(body["amount"], order["id"], body.get("notes"))
        if self.trouble == "declined":
            self.pay(order["id"], failed="insufficient_funds")
        link = LINK.format(tr=payment["id"].replace("_", ""), am=body["amount"] / 100)
        return {"razorpay_payment_id": payment["id"], "link": link}

    def _code(self, body: Any) -> dict[str, Any]:
        if not self.now + 900 <= body["close_by"] <= self.now + 45 * 86400:
            raise bad("close_by should be between 15 minutes and 45 days from now")
        made = {"id": f"qr_{uuid4().hex[:14]}", "entity": "qr_code", "status": "active", "created_at": self.now,
                "image_url": "https://qr.example/l/6MS", "payments_count_received": 0, **body}  # fmt: skip
        if self.image_content:
            made["image_content"] = LINK.format(tr=made["id"].replace("_", ""), am=body["payment_amount"] / 100)
        self.codes[made["id"]] = made
        return made

    def _capture(self, payment: dict[str, Any]) -> dict[str, Any]:
        self.moved.append(("capture", payment["amount"]))
        payment |= {"status": "captured", "captured": True, "fee": 24}
        return payment

    def _refund(self, payment: dict[str, Any], body: Any, key: str) -> dict[str, Any]:
        if not re.fullmatch(r"[A-Za-z0-9_-]{10,}", key):
            raise bad("The idempotency key is too short")
        if key in self.keys:
            before, ref = self.keys[key]
            if before != body:
                raise bad("Different request body sent with the same idempotency key")
            return self.refunds[ref]
        if not payment["captured"] or payment["amount_refunded"] + body["amount"] > payment["amount"]:
            raise bad("The total refund amount is greater than the refund payment amount")
        made = {"id": f"rfnd_{uuid4().hex[:14]}", "entity": "refund", "payment_id": payment["id"], "currency": "INR",
                "amount": body["amount"], "status": "pending", "notes": body["notes"],
                "created_at": self.now}  # fmt: skip
        payment["amount_refunded"] += body["amount"]
        if payment["amount_refunded"] == payment["amount"]:
            payment["status"] = "refunded"
        self.refunds[made["id"]], self.keys[key] = made, (body, made["id"])
        self.moved.append(("refund", body["amount"]))
        return made

    def _page(self, rows: list[dict[str, Any]], query: dict[str, str], known: set[str]) -> dict[str, Any]:
        if query.keys() - known - {"count", "skip"}:
            raise bad("unknown parameter")
        skip = int(query.get("skip", "0"))
        items = rows[skip : skip + min(100, int(query.get("count", "10")))]
        return {"entity": "collection", "count": len(items), "items": items}
