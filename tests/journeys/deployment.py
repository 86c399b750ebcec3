"""One or two servers behind doors, the people of each client under test, and what may befall them."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
from people import Person, group
from server import Server

from corekit.testing import Door
from corekit.values import typeid

LIMITS = {
    "COREKIT_CHAT__LIMITS": "false",
    "COREKIT_AUTH__ANONYMOUS": "true",
    "COREKIT_AUTH__ANONYMOUS_RATE": json.dumps({"count": 1000, "period": 3600, "burst": 1000}),
    "COREKIT_REALTIME__COMMANDS_RATE": "1000",  # the clients are quicker than people
    "COREKIT_REALTIME__COMMANDS_BURST": "1000",
    "COREKIT_REALTIME__RECOVER_ROWS": "10",
    "COREKIT_REALTIME__LEAVE_DELAY": "0.5",
}


@dataclass
class Deployment:
    """Clients under test connect `here`, through a door; others speak `there`, to the other server if there is one."""

    servers: Sequence[Server]
    door: Door
    bus: Door | None
    key: str

    @property
    def here(self) -> str:
        """The socket of the clients under test."""
        return f"{self.door.url.replace('http', 'ws', 1)}/connection/websocket"

    @property
    def there(self) -> str:
        """The socket of those who speak to them."""
        return self.servers[-1].socket

    @property
    def http(self) -> str:
        """Where the others sign out."""
        return self.servers[-1].url

    async def befall(self, step: str) -> None:
        """Let one of the disturbances happen."""
        server = self.servers[0]
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "shut": self.door.shut,
            "open": self.door.open,
            "kill": partial(self._restart, server.kill),
            "stop": partial(self._restart, server.stop),
        }
        if self.bus:
            steps |= {"silence": self.bus.shut, "speak": self.bus.open}
        await steps[step]()

    def token(self, token: str, seconds: float) -> str:
        """Sign the claims of a token anew, with the key that was imported, to end in so many seconds."""
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        claims |= {"exp": int(time.time() + seconds), "iat": int(time.time() + min(seconds, 0)) - 1}
        head = _part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "imported"}).encode())
        text = f"{head}.{_part(json.dumps(claims).encode())}"
        return f"{text}.{_part(hmac.digest(self.key.encode(), text.encode(), hashlib.sha256))}"

    async def people(self, name: str, **more: Any) -> dict[str, Any]:
        """Make who one client under test speaks for: `ann` and `ben` talk; `cem` will sign out."""
        async with httpx.AsyncClient(base_url=self.http) as http:
            ann, ben, cem = await asyncio.gather(*(_anonymous(http, name) for name in ("ann", "ben", "cem")))
            both, small, foreign = await asyncio.gather(group(http, ann, ben), group(http, ann, ben), group(http, ann))
        written = {
            person.name: {"name": person.name, "token": person.access_token, "usr": typeid("usr", UUID(person.id))}
            for person in (ann, ben, cem)
        }
        return {"name": name, "conversation": both, "small": small, "foreign": foreign, **written, **more}

    async def _restart(self, end: Callable[[], object]) -> None:
        """End the first server, and start it again; nobody gets in before the door is opened."""
        await asyncio.to_thread(end)
        await self.door.shut()
        await asyncio.to_thread(self.servers[0].start)


@asynccontextmanager
async def one_server(launch: Callable[..., Server]) -> AsyncGenerator[Deployment]:
    """Deploy one server."""
    async with _deployed([launch(**LIMITS)], None) as deployment:
        yield deployment


@asynccontextmanager
async def two_servers(launch: Callable[..., Server], setting: str, url: str) -> AsyncGenerator[Deployment]:
    """Deploy two servers that find each other at `url`, which is a setting; the first one's way there has a door."""
    async with Door(url) as door:
        prefix = {"COREKIT_REALTIME__BUS_PREFIX": uuid4().hex}
        servers = [launch(**LIMITS, **prefix, **{setting: way}) for way in (door.url, url)]
        async with _deployed(servers, door) as deployment:
            yield deployment


@asynccontextmanager
async def _deployed(servers: Sequence[Server], bus: Door | None) -> AsyncGenerator[Deployment]:
    key = secrets.token_urlsafe(32)
    await asyncio.to_thread(servers[0].start)  # it migrates
    others = (asyncio.to_thread(server.start) for server in servers[1:])
    await asyncio.gather(asyncio.to_thread(_import, servers[0], key), *others)
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(Door(servers[0].url))
        yield Deployment(servers, door, bus, key)


def _import(server: Server, key: str) -> None:
    jwk = {"kty": "oct", "kid": "imported", "alg": "HS256", "k": _part(key.encode())}
    file = server.log.with_name("imported.json")
    file.write_text(json.dumps(jwk))
    server.command("auth", "keys", "import", str(file))


async def _anonymous(http: httpx.AsyncClient, name: str) -> Person:
    answer = await http.post("/auth/v1/signup", json={})
    assert answer.status_code == 200, answer.text
    session = answer.json()
    return Person(name, session["user"]["id"], session["access_token"], session["refresh_token"])


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
