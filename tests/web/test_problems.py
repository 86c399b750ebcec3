"""Answers: problems in one shape, and contexts that commit before them."""

import asyncio

import httpx
import pytest
from web_site import ALICE, counted, problem

from corekit import Actor


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


@pytest.mark.parametrize(("verb", "path"), [("GET", "/trespass"), ("POST", "/forge")])
async def test_what_a_policy_refuses_is_forbidden(
    stored: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, verb: str, path: str
) -> None:
    said = problem(await stored.request(verb, path, headers=ALICE), 403, "forbidden")
    assert "outbox" not in str(said)
    assert "corekit_outbox" in caplog.text, "it is a mistake of the code, so the log says which"
    assert await counted(stored) == 0


async def test_a_database_that_is_away_is_no_fault_of_the_request(stored: httpx.AsyncClient) -> None:
    answer = await stored.post("/away")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_a_route_that_keeps_the_writing_slot_is_rolled_back(http: httpx.AsyncClient) -> None:
    problem(await http.post("/slow", timeout=10), 503, "unavailable")
    assert await counted(http) == 0
    assert (await http.get("/touch")).text == "touched"


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


@pytest.mark.parametrize("body", [b"[" * 990, b'{"a":"\xff\xfe"}'])
async def test_a_body_that_cannot_be_decoded_is_a_bad_request(http: httpx.AsyncClient, body: bytes) -> None:
    headers = ALICE | {"Content-Type": "application/json"}
    problem(await http.post("/notes", content=body, headers=headers), 400, "http-400")
