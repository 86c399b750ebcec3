"""One's own security events, over HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from corekit import Caller
from corekit_auth.errors import InvalidCredentials
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"


async def test_people_read_their_own_events_page_by_page(
    web: Callable[..., httpx.AsyncClient], service: AuthService, caller: Caller, signed_up: Grant
) -> None:
    """Red when somebody reads another's events, or a page repeats or skips one."""
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, "wrong horse battery")
    await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    seen: list[dict[str, Any]] = []
    cursor = ""
    async with web(signed_up.session.access_token) as client:
        for _ in range(3):
            answer = await client.get("/x/audit", params={"limit": "1", "cursor": cursor})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert set(body) == {"events", "next"}
            seen += body["events"]
            cursor = body["next"]
        assert cursor is None
    assert sorted(item["action"] for item in seen) == ["login", "login_failed", "user_signedup"]
    assert {frozenset(item) for item in seen} == {
        frozenset({"id", "created_at", "action", "details", "ip", "user_agent"})
    }
    assert {(item["ip"], item["user_agent"]) for item in seen} == {("192.0.2.1", "pytest")}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=" + "a" * 600])
async def test_what_is_no_page_is_refused(refused: Any, signed_up: Grant, query: str) -> None:
    message = await refused(400, "validation_failed", "GET", f"/x/audit?{query}", signed_up.session.access_token)
    assert message.startswith(query.partition("=")[0] + ":")


async def test_nobody_reads_events_without_a_session(refused: Any) -> None:
    await refused(401, "no_authorization", "GET", "/x/audit")
