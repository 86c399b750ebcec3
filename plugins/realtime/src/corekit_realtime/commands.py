"""Which verb answers which command; calls of methods run beside the others."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from corekit.errors import Problem
from corekit.watch.logs import get_logger
from corekit_realtime.asking import Asking
from corekit_realtime.codes import (
    BAD_REQUEST,
    METHOD_NOT_FOUND,
    TOO_MANY_REQUESTS,
    Refusal,
    error_of,
    fault_of,
)
from corekit_realtime.connection import Commands, Connection
from corekit_realtime.methods import Method
from corekit_realtime.node import Node
from corekit_realtime.protocol import Empty, RpcRequest, RpcResult
from corekit_realtime.signing_in import SigningIn
from corekit_realtime.subscribing import Subscribing

Verb = Callable[[Connection, int, Any], Awaitable[None]]
_NOTHING = (b"", b"null")


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
        work = _call(connection, number, method, b"{}" if data in _NOTHING else data)
        task = self._node.tasks.spawn(work, "call")
        connection.calls.add(task)
        task.add_done_callback(connection.calls.discard)


async def _call(connection: Connection, number: int, method: Method, data: bytes) -> None:
    """Run a method to its end, even where its caller has gone: what it began, it finishes."""
    caller = connection.fresh_caller()
    try:
        answer = await method.run(caller, data)
        connection.answer(number, rpc=RpcResult(Raw(answer)))
    except Problem as problem:
        connection.refuse(number, error_of(problem))
    except Refusal as refusal:
        connection.refuse(number, refusal.error)
    except msgspec.ValidationError:
        connection.refuse(number, BAD_REQUEST)
    except Exception as error:  # noqa: BLE001  # whatever a method raises, its caller gets an answer
        get_logger("corekit.realtime").exception(
            "call_failed", method=method.name, request_id=caller.request_id, error=type(error).__name__
        )
        connection.refuse(number, fault_of(error))


async def _ping(connection: Connection, number: int, _: Empty) -> None:
    connection.answer(number, ping=Empty())
