"""A site for the tests of HTTP: a plugin with routes of every kind, served."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from sqlalchemy import func, insert, select, text

from corekit import Actor, Event, Plugin, Settings, emit, implements
from corekit.context import Proof
from corekit.contracts.auth import Denied, authenticate
from corekit.data import DatabaseSettings
from corekit.data.outbox import OutboxRow
from corekit.errors import Conflict, InsideContext, Refused, TooMany, Unavailable
from corekit.testing import make_kit, serve
from corekit.values import uuid7
from corekit.web import Ctx, Who, public, requires

ANY = [public("a test calls it")]
ALICE = {"Authorization": "Bearer alice"}


class Noted(Event, frozen=True, tag="web.noted"):
    """Something to count."""


class Tag(msgspec.Struct):
    """A part of a body."""

    word: str


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    text: str
    stars: int = 0
    tags: list[Tag] = []


@get("/count", guards=ANY)
async def count(caller: Who) -> int:
    async with caller.system("site").begin(readonly=True) as ctx:
        return await ctx.session.scalar(select(func.count(OutboxRow.id))) or 0


@post("/notes", guards=[requires()])
async def note(ctx: Ctx, data: JSONBody[Note]) -> dict[str, str]:
    await emit(ctx, Noted())
    return {"by": str(ctx.actor.id), "text": data.text}


@get("/touch", guards=ANY, writes=True)
async def touch(ctx: Ctx) -> str:
    await emit(ctx, Noted())
    return "touched"


@get("/sneak", guards=ANY)
async def sneak(ctx: Ctx) -> str:
    row = {"id": uuid7(), "kind": "event", "tag": "x", "payload": b"", "priority": 0, "created_at": ctx.now()}
    row["actor"] = person.id if (person := ctx.caller.person) else None
    await ctx.session.execute(insert(OutboxRow), row)
    return "sneaked"


@get("/trespass", guards=ANY)
async def trespass(ctx: Ctx) -> int:
    return await ctx.session.scalar(select(func.count(OutboxRow.id))) or 0


@post("/forge", guards=ANY)
async def forge(ctx: Ctx) -> None:
    """Write in somebody else's name."""
    await emit(ctx, Noted())
    bob = {"kind": "event", "tag": "x", "payload": b"", "priority": 0, "actor": Actor("bob").id}
    await ctx.session.execute(insert(OutboxRow), bob | {"id": uuid7(), "created_at": ctx.now()})


@post("/broken", guards=ANY)
async def broken(ctx: Ctx) -> str:
    """Add what the database refuses at the commit."""
    await emit(ctx, Noted())
    ctx.session.add(OutboxRow(id=uuid7(), actor=person.id if (person := ctx.caller.person) else None))
    return "done"


@post("/away", guards=ANY)
async def away(caller: Who) -> None:
    """Take the database away: its disk, or the connection to it."""
    if caller.kit.database.dialect == "postgresql":
        async with caller.begin() as ctx:
            await ctx.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with caller.system("site").begin() as ctx:
        await ctx.session.execute(text("PRAGMA max_page_count = 1"))
        await ctx.session.execute(text("CREATE TABLE test_large AS SELECT zeroblob(1000000)"))


@post("/slow", guards=ANY)
async def slow(ctx: Ctx) -> None:
    await emit(ctx, Noted())
    await ctx.session.flush()
    await asyncio.sleep(30)


@post("/refused", guards=ANY)
async def refused(ctx: Ctx) -> None:
    await emit(ctx, Noted())
    raise Refused("counted")


@post("/conflict", guards=ANY)
async def conflict(ctx: Ctx) -> None:
    await emit(ctx, Noted())
    raise Conflict("taken", pointer="/name", holder="bob")


@get("/fault", guards=ANY)
async def fault() -> None:
    raise ValueError("hunter2 of ann@example.com")


@get("/limited", guards=ANY)
async def limited() -> None:
    raise TooMany("slow down", retry_after=7)


@get("/down", guards=ANY)
async def down() -> None:
    raise Unavailable("no database") from OSError("hunter2")


@post("/both", guards=ANY)
async def both(ctx: Ctx, caller: Who) -> str:
    """Try to open a context inside the one that the route has."""
    try:
        async with caller.begin():
            return "opened"
    except InsideContext as error:
        return str(error)


@get("/who", guards=ANY)
async def who(caller: Who) -> dict[str, str]:
    return {
        "actor": repr(caller.actor),
        "address": caller.client.address,
        "agent": caller.client.user_agent,
        "request_id": caller.request_id,
    }


@get("/own", guards=ANY, opt={"bearer": "own"})
async def own(caller: Who, request: Request[Any, Any, Any]) -> str:
    return f"{caller.actor!r} {request.headers.get('authorization')}"


@get("/staff", guards=[requires("staff:read")])
async def staff() -> str:
    return "hello"


@get("/fresh", guards=[requires(max_age=60)])
async def fresh() -> str:
    return "hello"


@get("/strong", guards=[requires(aal=2)])
async def strong() -> str:
    return "hello"


@get("/teapot", guards=ANY)
async def teapot() -> Response[str]:
    return Response("short and stout", status_code=418)


class Site(Plugin[Settings]):
    """Routes of every kind; a token is a name, or the reason why it is refused."""

    name = "site"

    def routes(self) -> Sequence[Any]:
        return [
            *(
                count,
                note,
                touch,
                sneak,
                trespass,
                forge,
                broken,
                away,
                slow,
                refused,
                conflict,
                fault,
                limited,
                down,
                both,
                who,
            ),
            *(own, staff, fresh, strong, teapot),
        ]

    @implements(authenticate)
    async def by_name(self, token: str, caller: Any) -> Actor | Denied | None:
        if token == "boom":
            raise Unavailable("keys are being turned")
        if token in {"revoked", "expired"}:
            return Denied(token)  # type: ignore[arg-type]  # one of the two
        now = caller.kit.clock.now() - timedelta(seconds=61 if token == "old" else 0)
        roles = frozenset({"staff"}) if token == "boss" else frozenset[str]()
        return None if token == "unknown" else Actor(token, roles=roles, proof=Proof(authenticated_at=now))


SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "jobs": {"worker": False},
    "database": {"writer_hold_max_ms": 500},
    "access": {"roles": {"staff": ["staff:read"]}},
    "web": {"trusted_proxies": ["10.0.0.0/8", "127.0.0.1"], "body_max": 1000},
}


@asynccontextmanager
async def served(folder: Path, database: DatabaseSettings | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        make_kit([Site()], database=database, tmp_path=folder, settings=SETTINGS) as kit,
        serve(kit) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        yield client


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Check that an answer is a problem document; return it."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (status, status, f"urn:corekit:problem:{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["title"]
    assert isinstance(body["code"], int)
    return body


async def counted(http: httpx.AsyncClient) -> int:
    return int((await http.get("/count")).json())
