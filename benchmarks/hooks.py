"""A hook call with one implementor, against plain pluggy plus await, in one run."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import pluggy

from corekit import hookspec, implements
from corekit.hooks import Hooks

CALLS = 100_000
ROUNDS = 7
spec, impl = pluggy.HookspecMarker("plain"), pluggy.HookimplMarker("plain")


@hookspec
async def changing(value: int, ctx: object) -> int | None:
    """Change a value."""


class Ours:
    """Implements it with corekit."""

    @implements(changing)
    async def change(self, value: int, ctx: object) -> int | None:  # noqa: ARG002  # the specification's names
        """Leave it."""
        return None


class Spec:
    """The same in plain pluggy."""

    @spec
    async def changing(self, value: int, ctx: object) -> int | None:
        """Change a value."""


class Plain:
    """Implements it in plain pluggy."""

    @impl
    async def changing(self, value: int, ctx: object) -> int | None:  # noqa: ARG002
        """Leave it."""
        return None


async def microseconds(call: Callable[[], Awaitable[Any]]) -> float:
    """Time one call, in µs."""
    began = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - began) / CALLS * 1e6


async def main() -> None:
    """Take turns, and print medians."""
    hooks, manager = Hooks(), pluggy.PluginManager("plain")
    hooks.register(Ours(), "ours")
    manager.add_hookspecs(Spec)
    manager.register(Plain())

    async def plain() -> None:
        for answer in manager.hook.changing(value=1, ctx=None):
            await answer

    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(await microseconds(lambda: hooks.pipe(changing, 1, None)))
        theirs.append(await microseconds(plain))
    print(f"hook call, one implementor: {median(ours):.2f} µs")
    print(f"plain pluggy plus await:    {median(theirs):.2f} µs")
    print(f"ratio (goal ≤ 0.75):        {median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}")


if __name__ == "__main__":
    asyncio.run(main())
