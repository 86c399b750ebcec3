"""A kit beside a stand-in of Centrifugo, in another process: both ask each other over HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from realtime_centrifugo import PROXY, Schema  # beside this file
from realtime_town import TownPlugin, usr

from corekit import Corekit
from corekit.settings import Secret
from corekit.testing import FakeClock, make_kit, serve
from corekit_realtime import RealtimePlugin, RealtimeSettings
from corekit_realtime.centrifugo import Centrifugo

KEY = "the key of the api"
SECRET = "the secret of the proxy"
HEADER = {"X-Corekit-Proxy-Secret": SECRET}
SCHEMA = Schema("proxy", PROXY)
FORMS = {
    "connect": "Connect",
    "refresh": "Refresh",
    "subscribe": "Subscribe",
    "publish": "Publish",
    "rpc": "RPC",
    "sub_refresh": "SubRefresh",
}


@dataclass
class StandIn:
    """The other process."""

    url: str

    async def told(self) -> dict[str, Any]:
        """Ask what it was asked."""
        async with httpx.AsyncClient() as http:
            told: dict[str, Any] = (await http.get(f"{self.url}/control")).json()
        return told

    async def until(self, there: Callable[[dict[str, Any]], bool], seconds: float = 10.0) -> dict[str, Any]:
        """Wait until what it was asked is as wanted."""
        async with asyncio.timeout(seconds):
            while not there(told := await self.told()):
                await asyncio.sleep(0.02)
        return told

    async def tell(self, **changes: Any) -> None:
        """Change how it answers."""
        async with httpx.AsyncClient() as http:
            await http.post(f"{self.url}/control", json=changes)


@contextmanager
def standing_in(key: str = KEY) -> Generator[StandIn]:
    """Run the process."""
    program = [sys.executable, str(Path(__file__).parent / "realtime_stand_in.py"), key]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield StandIn(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()


@dataclass
class Beside:
    """One served kit, and what asks it as Centrifugo does."""

    kit: Corekit
    town: TownPlugin
    centrifugo: Centrifugo
    stand_in: StandIn
    clock: FakeClock
    http: httpx.AsyncClient

    async def ask(self, verb: str, /, **fields: Any) -> dict[str, Any]:
        """Ask as Centrifugo; what is asked and what is answered must have the published form."""
        request = {"client": "c1", "transport": "websocket", "protocol": "json", "encoding": "json", **fields}
        SCHEMA.check(f"{FORMS[verb]}Request", request)
        answer = await self.http.post(f"/realtime/v1/centrifugo/{verb}", json=request)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
        found: dict[str, Any] = answer.json()
        SCHEMA.check(f"{FORMS[verb]}Response", found)
        assert len(found) == 1
        return found

    async def of(self, person: str, verb: str, /, **fields: Any) -> dict[str, Any]:
        """Ask for somebody who has connected."""
        return await self.ask(verb, user=usr(person), meta={"token": person}, **fields)


@asynccontextmanager
async def beside(clock: FakeClock, **settings: Any) -> AsyncGenerator[Beside]:
    """Serve a town beside a stand-in."""
    town = TownPlugin()
    with standing_in() as stand_in:
        given: dict[str, Any] = {
            "mode": "centrifugo",
            "centrifugo_url": f"{stand_in.url}/api",
            "centrifugo_api_key": Secret(KEY),
            "centrifugo_proxy_secret": Secret(SECRET),
        }
        realtime = RealtimePlugin(RealtimeSettings(**(given | settings)))
        async with (
            make_kit([realtime, town], clock=clock, settings={"jobs": {"poll": 0.05}}) as kit,
            serve(kit) as url,
            httpx.AsyncClient(base_url=url, headers=HEADER) as http,
        ):
            assert realtime._centrifugo is not None
            yield Beside(kit, town, realtime._centrifugo, stand_in, clock, http)


BesideCentrifugo = Callable[..., AbstractAsyncContextManager[Beside]]
