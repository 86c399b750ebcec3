"""Who asks: from a token, from an address, and what guards make of it."""

from pathlib import Path

import httpx
import pytest
from web_site import Site, problem

from corekit import Actor, Client, Corekit
from corekit.errors import ConfigError
from corekit.settings import Config
from corekit.testing import make_kit, serve
from corekit.web import create_app


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
        (["192.0.2.7,"], "127.0.0.1"),
        (["192.0.2.7, unknown"], "127.0.0.1"),
        (["192.0.2.7, unknown", "10.1.2.3"], "127.0.0.1"),
        (["unknown, 192.0.2.7:4711"], "192.0.2.7"),
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
