"""`If-Match`: what it may be, which versions it means, and that a route with the guard changes no other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import get, patch

from corekit import Plugin, Settings
from corekit.guard.preconditions import PreconditionFailed, PreconditionInvalid, etag, read_if_match
from corekit.testing import make_kit
from corekit.web import Match, conditional, create_app, public, tagged

ANY = public("a test calls it")


@pytest.mark.parametrize(
    ("sent", "fits"),
    [
        ('"3"', True),
        (' "3" ', True),
        ('"2", "3"', True),
        ('"2","3",', True),
        ("*", True),
        ('"2"', False),
        ('"03"', False),
        ('W/"3"', False),
        ('""', False),
        ('W/"3", "2"', False),
    ],
)
def test_a_version_is_changed_by_who_has_seen_it(sent: str, fits: bool) -> None:
    """Weak tags match nothing (RFC 9110 §13.1.1): they say that something like it was seen."""
    asked = read_if_match(sent)
    if fits:
        asked.demand(3)
        return
    with pytest.raises(PreconditionFailed) as failed:
        asked.demand(3)
    assert (failed.value.body()["version"], failed.value.headers) == (3, {"ETag": '"3"'})
    assert etag(3) == '"3"'


@pytest.mark.parametrize(
    "sent", ["", "3", '"3', "'3'", '*, "3"', '"3" "4"', 'w/"3"', '"a b"', '"' + "1" * 65 + '"', '"1",' * 300]
)
def test_what_is_no_tag_is_said_to_be_none(sent: str) -> None:
    with pytest.raises(PreconditionInvalid):
        read_if_match(sent)


@get("/thing", guards=[ANY])
async def thing() -> dict[str, int]:
    return {"version": 3}


@patch("/thing", guards=[ANY, conditional()])
async def change(if_match: Match) -> str:
    if_match.demand(3)
    return "changed"


@patch("/forgotten", guards=[ANY])
async def forgotten(if_match: Match) -> str:
    if_match.demand(3)
    return "changed"


class Things(Plugin[Settings]):
    """A thing of version 3."""

    name = "things"

    def routes(self) -> Sequence[Any]:
        return [thing, change, forgotten]


async def test_a_route_with_the_guard_demands_the_version(tmp_path: Path) -> None:
    settings = {"jobs": {"worker": False}, "web": {"cors_origins": ["https://app.example"]}}
    async with make_kit([Things()], tmp_path=tmp_path, settings=settings) as kit:
        transport = httpx.ASGITransport(create_app(kit, lifespan=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            answers = [
                await http.patch("/thing", headers=sent)
                for sent in [{}, {"If-Match": '"2"'}, {"If-Match": "3"}, {"If-Match": '"3"'}]
            ]
            assert [(one.status_code, one.json().get("code") if one.is_error else one.text) for one in answers] == [
                (428, 107),
                (412, 107),
                (400, 107),
                (200, "changed"),
            ]
            assert answers[1].headers["etag"] == '"3"'
            assert tagged(3) == {"ETag": '"3"'}
            several = await http.patch("/thing", headers=[("If-Match", '"1"'), ("If-Match", '"3"')])
            assert several.status_code == 200
            assert (await http.patch("/forgotten", headers={"If-Match": '"3"'})).status_code == 500
            described = (await http.get("/docs/openapi.json")).json()["paths"]["/thing"]
            assert [one["name"] for one in described["patch"]["parameters"]] == ["If-Match"]
            assert "parameters" not in described["get"]
            asked = {
                "Origin": "https://app.example",
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "if-match",
            }
            allowed = await http.options("/thing", headers=asked)
            assert (allowed.status_code, "if-match" in allowed.headers["access-control-allow-headers"].lower()) == (
                204,
                True,
            )
