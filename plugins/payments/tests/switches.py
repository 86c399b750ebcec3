"""A strict service of flags for tests: what is decided is of the key's type, and every question is remembered."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar, cast
from uuid import UUID

from corekit.context import Context, Kit
from corekit.contracts.flags import FlagKey, Flags
from corekit.plugin import Plugin
from corekit.settings import Settings

T = TypeVar("T")


class Switches:
    """Flags by their keys; what nobody has decided is the key's default."""

    def __init__(self) -> None:
        self.decided: dict[str, object] = {}
        self.asked: dict[str, FlagKey[bool]] = {}
        self.people: set[UUID] = set()

    def value(self, ctx: Context, key: FlagKey[T]) -> T:
        assert ctx.now() == ctx.kit.clock.now(), "it is asked in a unit of work"
        assert (key.owner, key.key.partition(".")[0]) == ("payments", "payments")
        assert ctx.caller.person is not None, "it is asked for somebody"
        self.people.add(ctx.caller.person.id)
        self.asked[key.key] = cast("FlagKey[bool]", key)
        found = self.decided.get(key.key, key.default)
        assert type(found) is type(key.default)
        return cast("T", found)


class SwitchesPlugin(Plugin[Settings]):
    """Provides them; its name puts it behind payments, so that the order of starts is shown by `wants` alone."""

    name = "switches"
    provides = (Flags,)

    def __init__(self) -> None:
        super().__init__()
        self.flags = Switches()

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        kit.provide(Flags, self.flags)
        yield
