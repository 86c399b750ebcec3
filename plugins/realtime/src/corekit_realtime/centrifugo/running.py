"""Everything of Centrifugo mode in one process, from its start to its end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from corekit.context import Kit
from corekit.errors import Unavailable
from corekit.watch.logs import get_logger
from corekit_realtime.centrifugo.api import ApiFailed, ServerApi
from corekit_realtime.centrifugo.calls import Call, Info
from corekit_realtime.centrifugo.proxy import Proxy
from corekit_realtime.centrifugo.sender import Sender
from corekit_realtime.centrifugo.service import CentrifugoService
from corekit_realtime.channels import Namespaces
from corekit_realtime.methods import Methods
from corekit_realtime.node import USER
from corekit_realtime.settings import RealtimeSettings

_STOP = 5.0  # seconds for what waits to be sent


class Centrifugo:
    """`service` for the plugins, `proxy` for Centrifugo, and what they share."""

    def __init__(self, kit: Kit, settings: RealtimeSettings) -> None:
        self.namespaces = Namespaces()
        self.namespaces.add(USER, None, __name__)
        self.methods = Methods()
        self._api = ServerApi(settings)
        self.sender = Sender(self._api, settings)
        self.proxy = Proxy(kit, settings, self.namespaces, self.methods)
        self.service = CentrifugoService(
            kit, self._api, self.sender, path=settings.path, namespaces=self.namespaces, methods=self.methods
        )

    @classmethod
    @asynccontextmanager
    async def running(cls, kit: Kit, settings: RealtimeSettings) -> AsyncGenerator[Self]:
        """Run until the end of the block; what waits then is sent."""
        centrifugo = cls(kit, settings)
        try:
            yield centrifugo
        finally:
            await centrifugo.sender.stop(_STOP)
            await centrifugo._api.close()

    async def check(self) -> None:
        """Ask whether it answers, and takes the key (Unavailable)."""
        try:
            reply = await self._api.call(Call("info", Info()))
        except ApiFailed as failure:
            get_logger("corekit.realtime").warning("centrifugo_failed", error=str(failure), method="info")
            raise Unavailable from None
        if reply.error is not None:
            raise Unavailable
