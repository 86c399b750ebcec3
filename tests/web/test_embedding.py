"""A kit inside other people's applications."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, get, post
from litestar.exceptions import NotAuthorizedException

from corekit import Actor, Corekit, Plugin, Settings, implements
from corekit.contracts.auth import authenticate
from corekit.errors import Forbidden, Unauthenticated
from corekit.testing import serve
from corekit.web import CorekitPlugin, Ctx, Who, asgi, beside, public, requires

ALICE = {"Authorization": "Bearer alice"}


@get("/mine/v1/hello", guards=[requires()])
async def hello(ctx: Ctx) -> str:
    return f"hello {ctx.actor == Actor('alice')}"


class Mine(Plugin[Settings]):
    """One route; a token is a name."""

    name = "mine"

    def routes(self) -> Sequence[Any]:
        return [hello]

    @implements(authenticate)
    async def by_name(self, token: str) -> Actor | None:
        return Actor(token)


@post("/host", guards=[public("a test calls it")])
async def host(ctx: Ctx, caller: Who) -> dict[str, bool]:
    return {"writing": not ctx.readonly, "same": ctx.caller is caller}


@get("/host/problem", guards=[public("a test calls it")])
async def host_problem(ctx: Ctx) -> None:
    raise Forbidden("not yours")


@get("/host/plain")
async def plain() -> str:
    raise NotAuthorizedException


@pytest.fixture
def kit(tmp_path: Path) -> Corekit:
    return Corekit([Mine()], data_dir=tmp_path)


async def test_in_litestar_beside_handlers_of_its_own(kit: Corekit) -> None:
    app = Litestar([host, host_problem, plain], plugins=[CorekitPlugin(kit)])
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as http:
        assert kit.started
        assert (await http.get("/mine/v1/hello", headers=ALICE)).text == "hello True"
        assert (await http.post("/host", headers=ALICE)).json() == {"writing": True, "same": True}
        refused = await http.get("/host/problem")
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:corekit:problem:forbidden")
        assert (await http.get("/host/plain")).status_code == 401
    assert not kit.started


async def test_mounted_in_fastapi(kit: Corekit) -> None:
    app = FastAPI(lifespan=kit.lifespan)
    app.mount("/corekit", asgi(kit))

    @app.get("/host")
    async def route() -> dict[str, str]:
        async with kit.context(Actor.of("host", 42)) as ctx:
            return {"actor": str(ctx.actor.id)}

    async with serve(app) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/corekit/mine/v1/hello", headers=ALICE)).text == "hello True"
        assert (await http.get("/corekit/mine/v1/hello")).json()["status"] == 401
        assert (await http.get("/corekit/ready")).status_code == 200
        assert (await http.get("/host")).json() == {"actor": str(Actor.of("host", 42).id)}
        assert "/mine/v1/hello" in (await http.get("/corekit/docs/openapi.json")).json()["paths"]
    assert not kit.started


async def test_beside_an_application_that_knows_no_lifespan(kit: Corekit) -> None:
    async def django(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"django " + scope["path"].encode()})

    async with serve(beside(django, kit)) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/corekit/mine/v1/hello", headers=ALICE)).text == "hello True"
        assert (await http.get("/corekitten")).text == "django /corekitten"
        assert (await http.get("/")).text == "django /"
    assert not kit.started


async def test_a_host_that_forgot_to_start_the_kit_is_told(kit: Corekit, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(asgi(kit)) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/mine/v1/hello", headers=ALICE)).status_code == 500
    assert "the kit is not started" in caplog.text


async def test_headless(kit: Corekit) -> None:
    async with kit, kit.context(Actor("alice")) as ctx:
        assert ctx.actor == Actor("alice")
    with pytest.raises(Unauthenticated):
        await Corekit([], data_dir=kit.database.data_dir).authenticate("alice")


async def test_two_kits_with_different_plugins_are_served_at_once(kit: Corekit, tmp_path: Path) -> None:
    other = Corekit([], data_dir=tmp_path / "other")
    async with kit, other, serve(kit) as one, serve(other) as two, httpx.AsyncClient() as http:
        assert (await http.get(f"{one}/mine/v1/hello", headers=ALICE)).status_code == 200
        assert (await http.get(f"{two}/mine/v1/hello", headers=ALICE)).status_code == 404
