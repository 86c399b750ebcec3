"""Which verb answers which command; calls of methods run beside the others."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Raw, UnsetType

from corekit_realtime.asking import Asking
from corekit_realtime.codes import METHOD_NOT_FOUND, TOO_MANY_REQUESTS, Refusal
from corekit_realtime.connection import Commands, Connection
from corekit_realtime.methods import Method, outcome
from corekit_realtime.node import Node
from corekit_realtime.protocol import Empty, Error, RpcRequest, RpcResult
from corekit_realtime.signing_in import SigningIn
from corekit_realtime.subscribing import Subscribing

Verb = Callable[[Connection, int, Any], Awaitable[None]]


class NodeCommands(Commands):
    """The commands of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        subscribing, asking = Subscribing(node), Asking(node)
        signing_in = SigningIn(node, subscribing)
        self._verbs: Mapping[str, Verb] = {
            "connect": signing_in.connect,
            "refresh": signing_in.refresh,
            "subscribe": subscribing.subscribe,
            "unsubscribe": subscribing.unsubscribe,
            "sub_refresh": subscribing.sub_refresh,
            "publish": asking.publish,
            "presence": asking.presence,
            "presence_stats": asking.presence_stats,
            "history": asking.history,
            "rpc": self._rpc,
            "ping": _ping,
        }

    async def run(self, connection: Connection, name: str, number: int, request: Any) -> None:
        """Answer one."""
        self._node.stats.commands += 1
        await self._verbs[name](connection, number, request)

    async def _rpc(self, connection: Connection, number: int, request: RpcRequest) -> None:
        method = self._node.methods.find(request.method)
        if method is None:
            raise Refusal(METHOD_NOT_FOUND)
        if len(connection.calls) >= self._node.settings.rpc_concurrency:
            raise Refusal(TOO_MANY_REQUESTS)
        data = b"" if isinstance(request.data, UnsetType) else bytes(request.data)
        work = _call(connection, number, method, data)
        task = self._node.tasks.spawn(work, "call")
        connection.calls.add(task)
        task.add_done_callback(connection.calls.discard)


async def _call(connection: Connection, number: int, method: Method, data: bytes) -> None:
    """Run a method to its end, even where its caller has gone: what it began, it finishes."""
    answer = await outcome(method, connection.fresh_caller(), data)
    if isinstance(answer, Error):
        connection.refuse(number, answer)
    else:
        connection.answer(number, rpc=RpcResult(Raw(answer)))


async def _ping(connection: Connection, number: int, _: Empty) -> None:
    connection.answer(number, ping=Empty())
