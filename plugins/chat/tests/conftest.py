"""A kit with chat, and strict stand-ins for what chat requires: accounts, and a gateway that records."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
import pytest

from corekit.context import Actor, Caller, Context, Kit
from corekit.contracts.auth import Auth, Denied, User, authenticate
from corekit.contracts.messaging import Conversation, CreateConversation, Messaging, PostMessage, Sent
from corekit.contracts.realtime import ChannelLog, Namespace, Online, Presence, Publication, Realtime, method_of
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.values import parse_id, typeid
from corekit_chat import ChatPlugin, ChatSettings

PEOPLE = ("alice", "bob", "carol", "dave", "erin", *(f"user{number}" for number in range(110)))


class Accounts(Auth):
    """Accounts that exist from the start."""

    def __init__(self) -> None:
        self.known = {Actor(name).id: User(id=Actor(name).id, created_at=datetime.now(UTC)) for name in PEOPLE}

    async def user(self, ctx: Context, user_id: UUID) -> User | None:
        return self.known.get(user_id)

    async def users(self, ctx: Context, user_ids: Iterable[UUID]) -> dict[UUID, User]:
        return {user: self.known[user] for user in user_ids if user in self.known}

    async def find(self, ctx: Context, *, email: str) -> User | None:
        raise NotImplementedError

    async def sessions(self, ctx: Context, user_id: UUID) -> Any:
        raise NotImplementedError

    async def end_sessions(self, ctx: Context, user_id: UUID, **_: Any) -> int:
        raise NotImplementedError

    async def issue(self, ctx: Context, user_id: UUID, *, method: str = "password") -> Any:
        raise NotImplementedError


class AccountsPlugin(Plugin[Settings]):
    """Accepts the name of a person as their bearer token."""

    name = "accounts"
    provides = (Auth,)

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        kit.provide(Auth, Accounts())
        yield

    @implements(authenticate)
    async def by_name(self, token: str) -> Actor | Denied | None:
        return Actor(token) if token in PEOPLE else Denied("invalid")


class Gateway(Realtime):
    """Records what is told, and refuses what the real gateway would refuse."""

    def __init__(self) -> None:
        self.namespaces: dict[str, tuple[Namespace, ChannelLog | None]] = {}
        self.verbs: dict[str, tuple[Callable[..., Awaitable[Any]], bool]] = {}
        self.told: list[tuple[str, Publication]] = []
        self.cut: list[tuple[UUID, str, int]] = []

    def add(self, namespace: Namespace, *, log: ChannelLog | None = None) -> None:
        assert namespace.name not in self.namespaces
        self.namespaces[namespace.name] = (namespace, log)

    def methods(self, methods: object) -> None:
        for _, function in inspect.getmembers(methods, inspect.ismethod):
            if mark := method_of(function):
                assert mark[0] not in self.verbs
                self.verbs[mark[0]] = (function, mark[1])

    async def publish(self, channel: str, data: bytes, *, offset: int = 0, ctx: Context | None = None) -> None:
        name, _, wire_id = channel.partition(":")
        prefix = "usr" if name == "user" else self.namespaces[name][0].prefix
        assert typeid(prefix, parse_id(prefix, wire_id)) == wire_id
        assert (offset > 0) == (name != "user" and self.namespaces[name][1] is not None)
        entry = (channel, Publication(data, offset))
        if ctx is None:
            self.told.append(entry)
            return

        async def later() -> None:
            self.told.append(entry)

        ctx.on_commit(later)

    async def unsubscribe(self, user: UUID, channel: str, code: int = 2000) -> None:
        self.cut.append((user, channel, code))

    async def disconnect(self, user: UUID, *, sign_in: UUID | None = None, code: int = 3503) -> None:
        raise NotImplementedError

    async def presence(self, channel: str) -> Presence:
        raise NotImplementedError

    async def online(self, users: Iterable[UUID]) -> dict[UUID, Online]:
        raise NotImplementedError

    def on(self, channel: str) -> list[Any]:
        """Return what was told on a channel, decoded, in the order of the offsets."""
        found = sorted((entry for name, entry in self.told if name == channel), key=lambda entry: entry.offset)
        return [msgspec.json.decode(entry.data) for entry in found]

    async def call(self, caller: Caller, name: str, request: Any) -> Any:
        """Call a method as the gateway does: decode, run, encode."""
        function, readonly = self.verbs[name]
        first, second = [hint for key, hint in get_type_hints(function).items() if key != "return"]
        decoded = msgspec.json.decode(msgspec.json.encode(request), type=second)
        if first is Caller:
            answer = await function(caller, decoded)
        else:
            async with caller.begin(readonly=readonly) as ctx:
                answer = await function(ctx, decoded)
        return msgspec.json.decode(msgspec.json.encode(answer))


class GatewayPlugin(Plugin[Settings]):
    """Provides the recording gateway."""

    name = "gateway"
    provides = (Realtime,)
    purposes = {"gateway.log": "Gap reads serve all subscribers of a node."}

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        kit.provide(Realtime, Gateway())
        yield


class World:
    """A started kit and the short forms that tests use."""

    def __init__(self, kit: Corekit) -> None:
        self.kit = kit
        self.chat: Messaging = kit.get(Messaging)
        self.gateway: Gateway = kit.get(Realtime)  # type: ignore[assignment]  # the stand-in above

    def caller(self, name: str) -> Caller:
        return self.kit.caller(Actor(name))

    def usr(self, name: str) -> str:
        return typeid("usr", Actor(name).id)

    async def create(self, name: str, **fields: Any) -> Conversation:
        if "members" in fields:
            fields["members"] = [self.usr(member) for member in fields["members"]]
        request = msgspec.convert({"kind": "group", **fields}, CreateConversation)
        async with self.caller(name).begin() as ctx:
            return (await self.chat.create(ctx, request))[0]

    async def send(self, name: str, conv: str, client_id: str, body: str = "hello", **fields: Any) -> Sent:
        return await self.chat.send(self.caller(name), conv, PostMessage(client_id=client_id, body=body, **fields))

    async def invite(self, by: str, conv: str, name: str, role: Any = None) -> bool:
        async with self.caller(by).begin() as ctx:
            return (await self.chat.invite(ctx, conv, self.usr(name), role))[1]

    async def remove(self, by: str, conv: str, name: str) -> None:
        async with self.caller(by).begin() as ctx:
            await self.chat.remove(ctx, conv, self.usr(name))

    async def get(self, name: str, conv: str) -> Conversation:
        async with self.caller(name).begin(readonly=True) as ctx:
            return await self.chat.get(ctx, conv)

    async def replay(self, conv: str, offset: int = 0, limit: int = 10_000) -> list[Publication]:
        log = self.gateway.namespaces["conv"][1]
        assert log is not None
        async with self.kit.caller().system("gateway.log").begin(readonly=True) as ctx:
            return await log.since(ctx, parse_id("cnv", conv), offset, limit)

    async def position(self, conv: str) -> tuple[str, int]:
        log = self.gateway.namespaces["conv"][1]
        assert log is not None
        async with self.kit.caller().system("gateway.log").begin(readonly=True) as ctx:
            return await log.position(ctx, parse_id("cnv", conv))


MakeWorld = Callable[..., Any]


@pytest.fixture
def migrated() -> tuple[type[Plugin[Any]], ...]:
    """Start with the schema of chat."""
    return AccountsPlugin, GatewayPlugin, ChatPlugin


@pytest.fixture
def make_world(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> MakeWorld:
    """Give a way to start a kit with chat, other plugins and other settings; rates are off unless set."""

    @asynccontextmanager
    async def make(*plugins: Plugin[Any], worker: bool = True, **settings: Any) -> AsyncGenerator[World]:
        chat = ChatPlugin(ChatSettings(**{"limits": False, **settings}))
        every = [AccountsPlugin(), GatewayPlugin(), chat, *plugins]
        jobs = {"jobs": {"worker": worker}}
        async with make_kit(every, database=database, tmp_path=tmp_path, clock=clock, settings=jobs) as kit:
            yield World(kit)

    return make


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncGenerator[World]:
    """Start a kit with chat alone."""
    async with make_world() as made:
        yield made
