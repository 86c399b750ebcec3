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
from corekit_realtime.centrifugo import Centrifugo
from corekit_realtime.codes import FORCED, INVALID_TOKEN
from corekit_realtime.gateway import Gateway
from corekit_realtime.node import PURPOSE, Node
from corekit_realtime.presence.departures import PURPOSE as DEPARTURES
from corekit_realtime.service import RealtimeService
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.upkeep import Upkeep

_STOP = 5.0  # seconds for tasks that are under way


class RealtimePlugin(Plugin[RealtimeSettings]):
    """Connections, channels, recovery, presence and calls, in the Centrifuge client protocol."""

    name = "realtime"
    provides = (Realtime,)
    purposes = {
        PURPOSE: "Position checks and gap reads serve all subscribers of a node at once.",
        DEPARTURES: "Nobody is connected any more in whose name it could be told.",
    }

    def __init__(self, settings: RealtimeSettings | None = None, *, bus: Bus | None = None) -> None:
        super().__init__(settings)
        self._bus = bus
        self._node: Node | None = None
        self._gateway: Gateway | None = None
        self._centrifugo: Centrifugo | None = None

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Provide Realtime; connections come in when everything has started."""
        async with self._beside_centrifugo(kit) if self.settings.mode == "centrifugo" else self._serving(kit):
            yield

    @asynccontextmanager
    async def _beside_centrifugo(self, kit: Kit) -> AsyncGenerator[None]:
        async with Centrifugo.running(kit, self.settings) as centrifugo:
            self._centrifugo = centrifugo
            kit.provide(Realtime, centrifugo.service)
            yield
        self._centrifugo = None

    @asynccontextmanager
    async def _serving(self, kit: Kit) -> AsyncGenerator[None]:
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
        if self.settings.mode == "centrifugo":
            from corekit_realtime.centrifugo.routes import endpoints  # noqa: PLC0415  # a kit without HTTP needs none

            return endpoints(self.settings, lambda: self._centrifugo.proxy if self._centrifugo else None)
        from corekit_realtime.routes import entrance  # noqa: PLC0415  # nor Litestar

        return [entrance(self.settings.path, lambda: self._gateway)]

    @classmethod
    def commands(cls) -> Sequence[Any]:
        """Return `corekit realtime …`."""
        from corekit_realtime.command_line import centrifugo_config  # noqa: PLC0415  # only the command line needs it

        return [centrifugo_config]

    def health(self) -> Iterable[Check]:
        async def centrifugo() -> None:
            if self._centrifugo is None:
                raise Unavailable
            await self._centrifugo.check()

        async def bus() -> None:
            if self._node is None or not self._node.bus.ready:
                raise Unavailable

        yield Check("centrifugo", centrifugo) if self.settings.mode == "centrifugo" else Check("bus", bus)

    @on(SessionEnded)
    async def close_sockets(self, ctx: Context, event: SessionEnded) -> None:
        """End the connections of a sign-in that is over."""
        close = FORCED if event.reason in {"ban", "delete"} else INVALID_TOKEN
        await ctx.get(Realtime).disconnect(event.user_id, sign_in=event.session_id, code=close.code)
