"""The plugin `realtime`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from corekit.context import Context, Kit
from corekit.contracts.auth import SessionEnded
from corekit.contracts.realtime import Realtime
from corekit.errors import Unavailable
from corekit.events import on
from corekit.plugin import Plugin
from corekit.watch import Check
from corekit_realtime.bus import Bus
from corekit_realtime.bus.choose import choose
from corekit_realtime.codes import FORCED, INVALID_TOKEN
from corekit_realtime.gateway import Gateway
from corekit_realtime.node import PURPOSE, Node
from corekit_realtime.service import RealtimeService
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.upkeep import Upkeep

_STOP = 5.0  # seconds for tasks that are under way


class RealtimePlugin(Plugin[RealtimeSettings]):
    """Connections, channels, recovery, presence and calls, in the Centrifuge client protocol."""

    name = "realtime"
    provides = (Realtime,)
    purposes = {PURPOSE: "Position checks and gap reads serve all subscribers of a node at once."}

    def __init__(self, settings: RealtimeSettings | None = None, *, bus: Bus | None = None) -> None:
        super().__init__(settings)
        self._bus = bus
        self._node: Node | None = None
        self._gateway: Gateway | None = None

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Provide Realtime; connections come in when everything has started."""
        node = self._node = Node(kit, self.settings, self._bus or choose(kit, self.settings))
        kit.provide(Realtime, RealtimeService(node))
        self._gateway = Gateway(node)
        upkeep = Upkeep(node)
        await node.bus.start(upkeep.begin_comparing)
        loops = [
            asyncio.create_task(work, name="corekit-realtime-upkeep")
            for work in (node.heartbeat.run(), upkeep.check_positions(), upkeep.reauthorise())
        ]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await loop
            await node.stop(_STOP)
            await node.bus.stop()
            self._node = self._gateway = None

    async def drain(self, seconds: float) -> None:
        if self._gateway is not None:
            await self._gateway.drain(seconds)

    def routes(self) -> Sequence[Any]:
        from corekit_realtime.routes import entrance  # noqa: PLC0415  # a kit without HTTP needs no Litestar

        return [entrance(self.settings.path, lambda: self._gateway)]

    def health(self) -> Iterable[Check]:
        async def bus() -> None:
            if self._node is None or not self._node.bus.ready:
                raise Unavailable

        yield Check("bus", bus)

    @on(SessionEnded)
    async def close_sockets(self, ctx: Context, event: SessionEnded) -> None:
        """End the connections of a sign-in that is over."""
        close = FORCED if event.reason in {"ban", "delete"} else INVALID_TOKEN
        await ctx.get(Realtime).disconnect(event.user_id, sign_in=event.session_id, code=close.code)
