"""People for journeys: they sign up over HTTP and speak over the unmodified `centrifuge-python`."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from centrifuge import Client, PublicationContext, SubscriptionEventHandler


@dataclass
class Person:
    """Somebody with an account."""

    name: str
    id: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        """The bearer of a request."""
        return {"Authorization": f"Bearer {self.access_token}"}


async def sign_up(http: httpx.AsyncClient, name: str) -> Person:
    """Make an account."""
    account = {"email": f"{name}-{uuid4().hex[:8]}@example.com", "password": uuid4().hex}
    answer = await http.post("/auth/v1/signup", json=account)
    assert answer.status_code == 200, answer.text
    session = answer.json()
    return Person(name, session["user"]["id"], session["access_token"], session["refresh_token"])


async def group(http: httpx.AsyncClient, owner: Person, *members: Person) -> str:
    """Open a group; return its id."""
    request = {"kind": "group", "title": "room", "members": [member.id for member in members]}
    answer = await http.post("/chat/v1/conversations", json=request, headers=owner.headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@dataclass
class Inbox(SubscriptionEventHandler):
    """All that one person heard on one channel, in the order of arrival."""

    events: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages among them."""
        return [event["message"] for event in self.events if event["t"] == "message.created"]

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Keep a publication."""
        self.events.append(ctx.pub.data)
        self.offsets.append(ctx.pub.offset)
        self._changed.set()

    async def wait_for(self, count: int, seconds: float) -> None:
        """Wait until so many messages are here."""
        async with asyncio.timeout(seconds):
            while len(self.messages) < count:
                self._changed.clear()
                await self._changed.wait()


async def listen(socket: str, person: Person, channel: str) -> tuple[Client, Inbox]:
    """Connect and subscribe; reconnecting is the client's affair."""
    client = Client(socket, token=person.access_token, proxy=None, max_reconnect_delay=0.5)
    await client.connect()
    inbox = Inbox()
    subscription = client.new_subscription(channel, inbox, positioned=True, recoverable=True)
    await subscription.subscribe()
    await subscription.ready(10)
    return client, inbox
