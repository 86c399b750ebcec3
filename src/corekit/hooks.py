"""Hooks: a thin, typed, awaiting layer over pluggy's registration, ordering and argument checks.

The hookspec function is the key everywhere: `@implements(before_send)` and `await hooks.pipe(before_send, draft, ctx)`.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pluggy

from corekit.errors import PluginError

P = ParamSpec("P")
V = TypeVar("V")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_SPEC = "__corekit_hookspec__"
_MARK = "__corekit_implements__"


def hookspec(function: F) -> F:
    """Declare an extension point: an async function whose docstring is its specification and whose body is empty."""
    if not inspect.iscoroutinefunction(function):
        raise PluginError(f"hookspec {function.__qualname__} must be an async function")
    setattr(function, _SPEC, f"{function.__module__}:{function.__qualname__}")
    return function


def implements(spec: Callable[..., Any], *, tryfirst: bool = False, trylast: bool = False) -> Callable[[F], F]:
    """Mark a plugin's async method as an implementation of `spec`; it may take fewer arguments, by the same names."""
    if not hasattr(spec, _SPEC):
        raise PluginError(f"{spec!r} is not a hookspec")

    def mark(function: F) -> F:
        if hasattr(function, _MARK):
            raise PluginError(f"{function.__qualname__} implements two hooks; write one method for each")
        setattr(function, _MARK, {"specname": getattr(spec, _SPEC), "tryfirst": tryfirst, "trylast": trylast})
        setattr(function, _SPEC + "of", spec)
        return function

    return mark


class _Registry(pluggy.PluginManager):
    """pluggy, keyed by our specification names instead of attribute names."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        mark = getattr(inspect.getattr_static(plugin, name, None), _MARK, None)
        return mark and {"wrapper": False, "hookwrapper": False, "optionalhook": False, **mark}

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> Any:
        if not hasattr(getattr(module_or_class, name), _SPEC):
            return None
        return {"firstresult": False, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None}


class Hooks:
    """The implementations of one kit; three verbs call them: `first`, `each` and `pipe`."""

    def __init__(self) -> None:
        self._pluggy = _Registry("corekit")
        self._calls: dict[Callable[..., Awaitable[Any]], tuple[Callable[..., Awaitable[Any]], ...]] = {}

    def register(self, plugin: object, name: str) -> None:
        """Add all marked methods of a plugin.

        Raises:
            PluginError: a method is not async, is a wrapper, or names an argument that the specification lacks.

        """
        specs: list[Callable[..., Awaitable[Any]]] = []
        for key in dir(plugin):
            method = inspect.getattr_static(plugin, key, None)
            if spec := getattr(method, _SPEC + "of", None):
                if not inspect.iscoroutinefunction(method):
                    raise PluginError(f"{name}.{key} implements {spec.__name__} and must be an async method")
                specs.append(spec)
                self._declare(spec)
        try:
            self._pluggy.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"plugin {name}: {error}") from None
        for spec in specs:
            self._calls[spec] = self._resolve(spec)

    def implementors(self, spec: Callable[..., Any]) -> int:
        """Count the implementations of `spec`."""
        return len(self._calls.get(spec, ()))

    async def first(self, spec: Callable[P, Awaitable[R | None]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Ask one after the other; the first answer that is not None wins and the rest are not called."""
        for call in self._calls.get(spec, ()):
            answer: R | None = await call(*args, **kwargs)
            if answer is not None:
                return answer
        return None

    async def each(self, spec: Callable[P, Awaitable[R | None]], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """Ask all, in order; return the answers that are not None."""
        answers: list[R | None] = [await call(*args, **kwargs) for call in self._calls.get(spec, ())]
        return [answer for answer in answers if answer is not None]

    async def pipe(
        self, spec: Callable[Concatenate[V, P], Awaitable[V | None]], value: V, *args: P.args, **kwargs: P.kwargs
    ) -> V:
        """Hand the value on from one to the next; None leaves it as it is."""
        for call in self._calls.get(spec, ()):
            answer: V | None = await call(value, *args, **kwargs)
            if answer is not None:
                value = answer
        return value

    def _declare(self, spec: Callable[..., Any]) -> None:
        if spec not in self._calls:
            self._calls[spec] = ()
            holder = type("Specification", (), {getattr(spec, _SPEC): staticmethod(spec)})
            self._pluggy.add_hookspecs(holder)

    def _resolve(self, spec: Callable[..., Any]) -> tuple[Callable[..., Awaitable[Any]], ...]:
        caller = getattr(self._pluggy.hook, getattr(spec, _SPEC))
        names: tuple[str, ...] = tuple(inspect.signature(spec).parameters)
        return tuple(_adapt(impl, names) for impl in reversed(caller.get_hookimpls()))


def _adapt(impl: pluggy.HookImpl, names: tuple[str, ...]) -> Callable[..., Awaitable[Any]]:
    """Let an implementation that takes fewer arguments be called with all of them."""
    function = cast("Callable[..., Awaitable[Any]]", impl.function)
    if tuple(impl.argnames) == names:
        return function
    wanted = impl.argnames

    def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        given = dict(zip(names, args, strict=False)) | kwargs
        return function(*[given[name] for name in wanted])

    return call
