"""RPC methods: what plugins brought, found by name."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

import msgspec

from corekit.context import Caller, Context
from corekit.contracts.realtime import method_of
from corekit.errors import PluginError
from corekit_realtime.codes import BAD_REQUEST, Refusal

_PARAMETERS = 2  # who asks, and what


class Method:
    """One method: its types are read once."""

    def __init__(self, name: str, call: Callable[[Any, Any], Awaitable[Any]], *, readonly: bool) -> None:
        self.name = name
        self.owner = f"{call.__module__}.{call.__qualname__}"
        self._call = call
        self._readonly = readonly
        first, request = _parameters(call, self.owner)
        self._in_context = first is Context
        self._decoder = msgspec.json.Decoder(request)

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

    def names(self) -> list[str]:
        """Return all names."""
        return sorted(self._known)


def _parameters(call: Callable[..., Any], owner: str) -> tuple[Any, Any]:
    hints = get_type_hints(call)
    types = [hints.get(name) for name in inspect.signature(call).parameters]
    if not inspect.iscoroutinefunction(call) or len(types) != _PARAMETERS or types[0] not in (Caller, Context):
        raise PluginError(f"{owner} must be an async method (ctx: Context | caller: Caller, request: <a struct>)")
    return types[0], types[1]
