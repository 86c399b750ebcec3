"""Statement 17: no secret is in clear anywhere but where it was handed out."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

ANN = "canary.ann@example.org"
PASSWORD = "canary password staple"
WRONG = "canary wrong password"


async def test_secrets_are_in_no_log_and_no_table(
    web: Callable[..., httpx.AsyncClient], log: io.StringIO, tables: Any
) -> None:
    secrets = {PASSWORD, WRONG}
    async with web() as client:
        signed_up = (await client.post("/signup", json={"email": ANN, "password": PASSWORD})).json()
        await client.post("/signup", json={"email": ANN, "password": PASSWORD})
        await client.post("/token?grant_type=password", json={"email": ANN, "password": WRONG})
        token = {"refresh_token": signed_up["refresh_token"]}
        refreshed = (await client.post("/token?grant_type=refresh_token", json=token)).json()
        await client.post("/token?grant_type=refresh_token", json={"refresh_token": "canary refresh"})
        headers = {"Authorization": f"Bearer {refreshed['access_token']}"}
        change = {"password": "canary other staple", "current_password": PASSWORD}
        assert (await client.put("/user", json=change, headers=headers)).status_code == 200
        await client.get("/user", headers={"Authorization": "Bearer canary.bearer.token"})
        await client.post("/logout", headers=headers)
    secrets |= {one[name] for one in (signed_up, refreshed) for name in ("access_token", "refresh_token")}
    secrets |= {one["access_token"].split(".")[2] for one in (signed_up, refreshed)}
    secrets |= {"canary other staple", "canary refresh", "canary.bearer.token"}
    stored, logged = await tables.everything(), log.getvalue()
    assert "auth_users: " in stored
    assert ANN in stored  # the search does find what is there
    for secret in secrets:
        assert secret not in stored
        assert secret not in logged
    assert ANN not in logged


@pytest.mark.parametrize(("table", "path"), [("failures", "/token?grant_type=password"), ("identities", "/signup")])
async def test_a_fault_tells_the_client_an_id_and_the_log_no_address(
    web: Callable[..., httpx.AsyncClient], log: io.StringIO, tables: Any, table: str, path: str
) -> None:
    """An error of the database names the statement, never its parameters."""
    await tables.alter(text(f"DROP TABLE auth_{table}"))
    async with web() as client:
        answer = await client.post(path, json={"email": ANN, "password": PASSWORD})
    assert answer.status_code == 500
    assert answer.json()["error_code"] == "unexpected_failure"
    assert answer.json()["error_id"] == answer.headers["x-request-id"]
    assert answer.json()["error_id"] in log.getvalue()
    assert f"auth_{table}" in log.getvalue()
    for secret in (PASSWORD, ANN, "192.0.2.1", "$argon2id"):
        assert secret not in log.getvalue() + answer.text
