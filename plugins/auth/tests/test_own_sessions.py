"""One's own sessions: where one is signed in, and signing out there."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from corekit import Caller
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
PASSWORD = "correct horse battery"


async def test_where_one_is_signed_in(web: Web, service: AuthService, caller: Caller, signed_up: Grant) -> None:
    """Statement 14: users list and end their own sessions."""
    await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    second = await service.grant_by_password(caller, "ann@example.org", PASSWORD)
    async with web(second.session.access_token) as client:
        listed = (await client.get("/x/sessions")).json()
        assert set(listed[0]) == {"id", "created_at", "refreshed_at", "aal", "user_agent", "ip", "current"}
        assert [(item["id"], item["current"]) for item in listed] == [
            (str(second.session_id), True),
            (str(signed_up.session_id), False),
        ]
        assert (listed[1]["user_agent"], listed[1]["ip"], listed[1]["aal"]) == ("pytest", "192.0.2.1", 1)
        answer = await client.delete(f"/x/sessions/{signed_up.session_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert [item["current"] for item in (await client.get("/x/sessions")).json()] == [True]
        assert (await client.delete(f"/x/sessions/{second.session_id}")).status_code == 204
        assert (await client.get("/x/sessions")).status_code == 403


async def test_only_what_is_ones_own(
    refused: Refused, service: AuthService, caller: Caller, signed_up: Grant, tables: Any
) -> None:
    """Goes red when `end` does not ask whose the session is."""
    bob = await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    token = signed_up.session.access_token
    for other in (bob.session_id, uuid4()):
        await refused(404, "session_not_found", "DELETE", f"/x/sessions/{other}", token)
    await refused(400, "validation_failed", "DELETE", "/x/sessions/7", token)
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 2
    for method, path in (("GET", "/x/sessions"), ("DELETE", f"/x/sessions/{bob.session_id}")):
        await refused(401, "no_authorization", method, path)
        await refused(403, "bad_jwt", method, path, "anon")
