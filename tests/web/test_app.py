"""HTTP around a kit: problems in one shape, contexts that commit before the answer, and who is believed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from sqlalchemy import func, insert, select

from corekit import Actor, Client, Corekit, Event, Plugin, Settings, emit, implements
from corekit.context import Proof
from corekit.contracts.auth import Denied, authenticate
from corekit.data.outbox import OutboxRow
from corekit.errors import ConfigError, Conflict, InsideContext, Refused, TooMany, Unavailable
from corekit.settings import Config
from corekit.testing import make_kit, serve
from corekit.values import uuid7
from corekit.web import Ctx, Who, create_app, public, requires

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
async def count(ctx: Ctx) -> int:
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
    await ctx.session.execute(insert(OutboxRow), row)
    return "sneaked"


@post("/broken", guards=ANY)
async def broken(ctx: Ctx) -> str:
    """Add what the database refuses at the commit."""
    await emit(ctx, Noted())
    ctx.session.add(OutboxRow(id=uuid7()))
    return "done"


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
            *(count, note, touch, sneak, broken, refused, conflict, fault, limited, down, both, who, own),
            *(staff, fresh, strong, teapot),
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
    "access": {"roles": {"staff": ["staff:read"]}},
    "web": {"trusted_proxies": ["10.0.0.0/8", "127.0.0.1"], "body_max": 1000},
}


@asynccontextmanager
async def served(folder: Path, database: str | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        make_kit([Site()], database=database, tmp_path=folder, settings=SETTINGS) as kit,
        serve(kit) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        yield client


@pytest.fixture
async def http(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve the site, for what is the same on every database."""
    async with served(tmp_path) as client:
        yield client


@pytest.fixture
async def stored(database_url: str, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve the site on each database."""
    async with served(tmp_path, database_url) as client:
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


async def test_litestars_own_refusals_are_problems(http: httpx.AsyncClient) -> None:
    problem(await http.get("/nowhere"), 404, "not-found")
    not_allowed = await http.delete("/notes")
    problem(not_allowed, 405, "http-405")
    assert {*not_allowed.headers["allow"].split(", ")} == {"OPTIONS", "POST"}


@pytest.mark.parametrize(
    ("body", "status", "slug", "pointer"),
    [
        (b'{"text": 1}', 422, "invalid", "/text"),
        (b'{"stars": 1}', 422, "invalid", "/text"),
        (b'{"text": "x", "q": 1}', 422, "invalid", "/q"),
        (b'{"text": "x", "tags": [{"word": "a"}, {"word": 1}]}', 422, "invalid", "/tags/1/word"),
        (b"[]", 422, "invalid", None),
        (b"", 422, "invalid", None),
        (b"{not json", 400, "http-400", None),
        (b'"' + b"x" * 2000 + b'"', 413, "too-large", None),
    ],
)
async def test_a_body_that_does_not_fit(
    http: httpx.AsyncClient, body: bytes, status: int, slug: str, pointer: str | None
) -> None:
    headers = ALICE | {"Content-Type": "application/json"}
    said = problem(await http.post("/notes", content=body, headers=headers), status, slug)
    assert said.get("pointer") == pointer
    assert await counted(http) == 0


async def test_a_body_that_is_not_there(http: httpx.AsyncClient) -> None:
    assert problem(await http.post("/notes", headers=ALICE), 422, "invalid")["detail"] == "a JSON body is required"


async def test_a_problem_tells_its_members_and_headers(http: httpx.AsyncClient) -> None:
    said = problem(await http.post("/conflict"), 409, "conflict")
    assert (said["detail"], said["pointer"], said["holder"]) == ("taken", "/name", "bob")
    assert await counted(http) == 0
    limited = await http.get("/limited")
    assert problem(limited, 429, "too-many-requests")["retry_after"] == 7
    assert limited.headers["retry-after"] == "7"


async def test_a_fault_tells_only_its_request_id(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = await http.get("/fault")
    said = problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["request_id"] in caplog.text
    assert "ValueError" in caplog.text
    assert "ann@example.com" not in caplog.text


async def test_our_own_unavailability_is_logged_with_its_cause(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    problem(await http.get("/down"), 503, "unavailable")
    assert "OSError" in caplog.text


async def test_a_context_is_committed_before_the_answer(stored: httpx.AsyncClient) -> None:
    answer = await stored.post("/notes", json={"text": "hi"}, headers=ALICE)
    assert (answer.status_code, answer.json()) == (201, {"by": str(Actor("alice").id), "text": "hi"})
    assert await counted(stored) == 1


async def test_a_commit_that_fails_is_a_fault_and_no_answer(stored: httpx.AsyncClient) -> None:
    problem(await stored.post("/broken"), 500, "internal")
    assert await counted(stored) == 0


async def test_a_refusal_commits_and_is_answered(stored: httpx.AsyncClient) -> None:
    problem(await stored.post("/refused"), 403, "refused")
    assert await counted(stored) == 1


async def test_a_get_only_reads_unless_it_says_so(stored: httpx.AsyncClient) -> None:
    problem(await stored.get("/sneak"), 500, "internal")
    assert (await stored.get("/touch")).text == "touched"
    assert await counted(stored) == 1


async def test_no_context_opens_inside_the_routes_own(stored: httpx.AsyncClient) -> None:
    async with asyncio.timeout(5):
        assert "a writing context cannot be opened" in (await stored.post("/both")).text


async def test_a_token_says_who_asks(http: httpx.AsyncClient) -> None:
    for token, actor in (("alice", repr(Actor("alice"))), ("unknown", "Actor(nobody:")):
        said = (await http.get("/who", headers={"Authorization": f"bearer {token}"})).json()["actor"]
        assert said.startswith(actor)
    for header in ("Basic YTpi", "Bearer", "alice", "Bearer " + "x" * 9000):
        assert "nobody" in (await http.get("/who", headers={"Authorization": header})).json()["actor"]
    problem(await http.get("/who", headers={"Authorization": "Bearer boom"}), 503, "unavailable")


@pytest.mark.parametrize(
    ("path", "token", "status", "challenge"),
    [
        ("/staff", None, 401, "Bearer"),
        ("/staff", "unknown", 401, "Bearer"),
        ("/staff", "revoked", 401, 'Bearer error="invalid_token"'),
        ("/staff", "expired", 401, 'Bearer error="invalid_token"'),
        ("/staff", "alice", 403, None),
        ("/staff", "boss", 200, None),
        ("/fresh", "alice", 200, None),
        (
            "/fresh",
            "old",
            401,
            'Bearer error="insufficient_user_authentication", acr_values="aal1", max_age=60',
        ),
        ("/strong", "alice", 401, 'Bearer error="insufficient_user_authentication", acr_values="aal2"'),
        ("/who", "revoked", 200, None),
    ],
)
async def test_guards(
    http: httpx.AsyncClient, path: str, token: str | None, status: int, challenge: str | None
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await http.get(path, headers=headers)
    assert (answer.status_code, answer.headers.get("www-authenticate")) == (status, challenge)


async def test_a_route_may_read_its_bearer_itself(http: httpx.AsyncClient) -> None:
    assert (await http.get("/own", headers={"Authorization": "Bearer revoked"})).text.endswith(" Bearer revoked")


async def test_every_answer_has_a_request_id(http: httpx.AsyncClient) -> None:
    seen = set()
    for path in ("/who", "/fault", "/teapot", "/live", "/nowhere"):
        answer = await http.get(path, headers={"X-Request-Id": "mine"})
        seen.add(answer.headers["x-request-id"])
        if path == "/who":
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert len(seen) == 5
    assert "mine" not in seen


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([], "127.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        (["198.51.100.1", "192.0.2.7", "10.1.2.3"], "192.0.2.7"),
        (["192.0.2.7, ::ffff:10.1.2.3"], "192.0.2.7"),
        (["10.1.2.3"], "127.0.0.1"),
        (["2001:db8::1"], "2001:db8::1"),
        ([","], "127.0.0.1"),
    ],
)
async def test_the_right_most_address_that_no_trusted_proxy_wrote(
    http: httpx.AsyncClient, lines: list[str], address: str
) -> None:
    headers = [("X-Forwarded-For", line) for line in lines] + [("User-Agent", "test/1")]
    said = (await http.get("/who", headers=headers)).json()
    assert (said["address"], said["agent"]) == (address, "test/1")


async def test_nobody_is_believed_unless_told(tmp_path: Path) -> None:
    async with make_kit([Site()], tmp_path=tmp_path) as kit, serve(kit) as url, httpx.AsyncClient(base_url=url) as http:
        said = await http.get("/who", headers={"X-Forwarded-For": "192.0.2.7"})
    assert said.json()["address"] == "127.0.0.1"


def test_a_trusted_proxy_must_be_an_address(tmp_path: Path) -> None:

    config = Config.load(environ={}, overrides={"web": {"trusted_proxies": ["proxy.internal"]}})
    with pytest.raises(ConfigError, match=r"\[web\] trusted_proxies: 'proxy\.internal' is no address"):
        create_app(Corekit([], config=config, data_dir=tmp_path))


async def test_a_host_finds_out_who_a_token_speaks_for(tmp_path: Path) -> None:
    async with make_kit([Site()], tmp_path=tmp_path) as kit:
        caller = await kit.authenticate("alice", Client(address="192.0.2.1"))
        assert (caller.actor, caller.client.address) == (Actor("alice"), "192.0.2.1")
        for token, reason in (("unknown", "the token is unknown"), ("revoked", "the token is revoked")):
            with pytest.raises(Exception, match=reason):
                await kit.authenticate(token)
