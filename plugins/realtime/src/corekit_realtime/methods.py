"""RPC methods: what plugins brought, found by name."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

import msgspec

from corekit.context import Caller, Context
from corekit.contracts.realtime import MethodSurface, method_of
from corekit.errors import PluginError, Problem
from corekit.watch.logs import get_logger
from corekit_realtime.codes import BAD_REQUEST, Refusal, error_of, fault_of
from corekit_realtime.protocol import Error

_PARAMETERS = 2  # who asks, and what
_NOTHING = (b"", b"null")


class Method:
    """One method: its types are read once."""

    def __init__(self, name: str, call: Callable[[Any, Any], Awaitable[Any]], *, readonly: bool) -> None:
        self.name = name
        self.owner = f"{call.__module__}.{call.__qualname__}"
        self._call = call
        self._readonly = readonly
        first, request, answer = _types(call, self.owner)
        self._in_context = first is Context
        self._decoder = msgspec.json.Decoder(request)
        self.surface = MethodSurface(name, inspect.getdoc(call) or "", request, answer)

    async def run(self, caller: Caller, data: bytes) -> bytes:
        """Decode the request, run the verb (in a context of its own if it wants one), encode what it returns.

        Raises:
            Refusal: the request does not fit.

        """
        try:
            request = self._decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Refusal(BAD_REQUEST) from None
        if not self._in_context:
            return msgspec.json.encode(await self._call(caller, request))
        async with caller.begin(readonly=self._readonly) as ctx:
            answer = await self._call(ctx, request)
        return msgspec.json.encode(answer)


async def outcome(method: Method, caller: Caller, data: bytes) -> bytes | Error:
    """Run a method; return its answer, or what its caller may know of why there is none."""
    try:
        return await method.run(caller, b"{}" if data in _NOTHING else data)
    except Problem as problem:
        return error_of(problem)
    except Refusal as refusal:
        return refusal.error
    except msgspec.ValidationError:
        return BAD_REQUEST
    except Exception as error:  # noqa: BLE001  # whatever a method raises, its caller gets an answer
        get_logger("corekit.realtime").exception(
            "call_failed", method=method.name, request_id=caller.request_id, error=type(error).__name__
        )
        return fault_of(error)


class Methods:
    """All methods of a kit; closed with the first connection."""

    def __init__(self) -> None:
        self._known: dict[str, Method] = {}
        self._closed = False

    def add(self, methods: object) -> None:
        """Add the marked methods of an object.

        Raises:
            PluginError: a name is taken, a method does not have the form, or connections are served already.

        """
        for _, call in inspect.getmembers(methods, inspect.ismethod):
            if mark := method_of(call):
                name, readonly = mark
                method = Method(name, call, readonly=readonly)
                if self._closed:
                    raise PluginError(f"method {name!r} comes too late: add it in the plugin's lifespan")
                if known := self._known.get(name):
                    raise PluginError(f"method {name!r} is brought twice: by {known.owner} and by {method.owner}")
                self._known[name] = method

    def close(self) -> None:
        """Take no more."""
        self._closed = True

    def find(self, name: str) -> Method | None:
        """Return a method."""
        return self._known.get(name)

    def surface(self) -> tuple[MethodSurface, ...]:
        """Return all, as their callers see them, by name."""
        return tuple(method.surface for _, method in sorted(self._known.items()))


def _types(call: Callable[..., Any], owner: str) -> tuple[Any, Any, Any]:
    hints = get_type_hints(call)
    types = [hints.get(name) for name in inspect.signature(call).parameters]
    if not inspect.iscoroutinefunction(call) or len(types) != _PARAMETERS or types[0] not in (Caller, Context):
        raise PluginError(f"{owner} must be an async method (ctx: Context | caller: Caller, request: <a struct>)")
    return types[0], types[1], hints.get("return", Any)
