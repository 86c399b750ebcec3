"""The entrance of the sockets: an ASGI application that lets in, or says over HTTP why not."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from corekit.context import Caller
from corekit.errors import Forbidden, Problem, TooMany, Unavailable
from corekit.guard.limits import MemoryLimits, Rule, address_key
from corekit.watch.logs import get_logger
from corekit_realtime.codec import Codec
from corekit_realtime.codec_json import JsonCodec
from corekit_realtime.codec_protobuf import ProtobufCodec
from corekit_realtime.codes import SHUTDOWN, SLOW
from corekit_realtime.commands import NodeCommands
from corekit_realtime.connection import Connection, Receive
from corekit_realtime.errors import UpgradeRequired
from corekit_realtime.node import Node
from corekit_realtime.writers import DirectWriter, QueueWriter, Send

EXTENSION = "corekit.transport"
_JSON, _PROTOBUF = "centrifuge-json", "centrifuge-protobuf"
_DRAIN_RATE = 50  # closes per second at least
_DRAIN_WAIT = 5.0  # seconds for the last sockets to go


class Gateway:
    """Accepts sockets and runs their connections."""

    def __init__(self, node: Node) -> None:
        settings = node.settings
        self._node = node
        self._commands = NodeCommands(node)
        self._json, self._protobuf = JsonCodec(), ProtobufCodec()
        self._log = get_logger("corekit.realtime")
        self._limits = MemoryLimits(node.kit.clock)
        per_address = settings.handshakes_ip_rate
        self._everybody = Rule("realtime.handshakes", settings.handshakes, 1, settings.handshakes, "global")
        self._address = Rule("realtime.handshakes_ip", per_address, 1, max(per_address, settings.handshakes_ip_burst))

    async def serve(self, scope: Mapping[str, Any], receive: Receive, send: Send, caller: Caller) -> None:
        """Serve one socket, from its handshake to its end."""
        if scope["type"] != "websocket":
            await _answer(send, "http.response", UpgradeRequired())
            return
        await receive()
        self._node.stats.handshakes += 1
        if (problem := await self._refusal(scope, caller)) is not None:
            self._node.stats.handshakes_refused += 1
            await _deny(scope, send, problem)
            return
        offered = scope.get("subprotocols", ())
        chosen = next((name for name in (_PROTOBUF, _JSON) if name in offered), None)
        await send({"type": "websocket.accept", "subprotocol": chosen})
        asked = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        binary = chosen == _PROTOBUF or "protobuf" in {asked.get("format"), asked.get("cf_protocol")}
        await self._run(scope, receive, send, caller, self._protobuf if binary else self._json)

    async def drain(self, seconds: float) -> None:
        """Let nobody in; close at a rate that spreads the comers-back; finish what was called."""
        self._node.draining = True
        found = list(self._node.connections.all())
        rate = max(_DRAIN_RATE, len(found) / max(seconds, 1.0))
        for connection in found:
            connection.close(SHUTDOWN)
            await asyncio.sleep(1 / rate)
        for connection in self._node.connections.all():
            connection.close(SHUTDOWN)
        await self._node.tasks.wait(min(seconds, _DRAIN_WAIT))

    async def _refusal(self, scope: Mapping[str, Any], caller: Caller) -> Problem | None:
        node = self._node
        if node.draining or not node.kit.started:
            return Unavailable(retry_after=5)
        if not self._knows(scope):
            return Forbidden("the Origin is not in [realtime] origins")
        if len(node.connections) >= node.settings.connections_max:
            return Unavailable("too many connections", retry_after=10)
        for rule, key in ((self._address, address_key(caller.client.address)), (self._everybody, "")):
            decision = await self._limits.hit(rule, key)
            if not decision.allowed:
                return TooMany(retry_after=math.ceil(decision.retry_after))
        return None

    def _knows(self, scope: Mapping[str, Any]) -> bool:
        """Let in what is no browser's page, a page of this host, and pages of the listed origins."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if not origin or origin in self._node.settings.origins or "*" in self._node.settings.origins:
            return True
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return urlsplit(origin).netloc == host

    async def _run(self, scope: Mapping[str, Any], receive: Receive, send: Send, caller: Caller, codec: Codec) -> None:
        node = self._node
        connection = Connection(node.settings, self._commands, node.tasks, caller, codec)
        transport = (scope.get("extensions") or {}).get(EXTENSION)
        connection.writer = (
            QueueWriter(codec, node.caps, send, connection.cut)
            if transport is None
            else DirectWriter(codec, node.caps, transport)
        )
        node.connections.add(connection)
        node.heartbeat.await_connect(connection)
        if not node.frozen:
            node.freeze()
        self._log.info("connection_opened", request_id=caller.request_id)
        code = 1006
        try:
            code = await connection.run(receive, send)
        except asyncio.CancelledError:
            if not connection.was_cut:
                raise
        finally:
            node.gone(connection)
            self._log.info(
                "connection_closed",
                request_id=caller.request_id,
                code=SLOW.code if connection.writer.was_slow else code,
                client_name=connection.name,
                seconds=round(asyncio.get_running_loop().time() - connection.opened_at, 3),
            )


async def _deny(scope: Mapping[str, Any], send: Send, problem: Problem) -> None:
    """Answer the handshake over HTTP; where the server cannot, it is closed before it is accepted."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _answer(send, "websocket.http.response", problem)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": problem.title})


async def _answer(send: Send, kind: str, problem: Problem) -> None:
    headers = {"content-type": "application/problem+json"} | {k.lower(): v for k, v in problem.headers.items()}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    body = msgspec.json.encode(problem.body())
    await send({"type": f"{kind}.start", "status": problem.status, "headers": pairs})
    await send({"type": f"{kind}.body", "body": body})
