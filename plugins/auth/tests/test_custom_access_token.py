"""The hook that adds claims to access tokens."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from corekit import Caller, Context, Corekit, Plugin, Settings, implements
from corekit.contracts.auth import custom_access_token
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.errors import HookTimeout, HookTimeoutAtRefresh, ValidationFailed
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN, PASSWORD = "ann@example.org", "correct horse battery"


class ClaimsPlugin(Plugin[Settings]):
    """Adds what a test says."""

    name = "claims"

    def __init__(self) -> None:
        super().__init__()
        self.change: Callable[[dict[str, Any]], Any] = lambda claims: claims | {"org": "acme"}
        self.wait = 0.0
        self.saw: list[tuple[str, bool]] = []

    @implements(custom_access_token)
    async def more(self, claims: dict[str, Any], ctx: Context) -> dict[str, Any] | None:
        self.saw.append((claims["amr"][0]["method"], ctx.readonly))
        await asyncio.sleep(self.wait)
        answer: dict[str, Any] | None = self.change(claims)
        return answer


@pytest.fixture
def hook() -> ClaimsPlugin:
    return ClaimsPlugin()


@pytest.fixture
async def kit(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, hook: ClaimsPlugin
) -> AsyncGenerator[Corekit]:
    tables = {"auth": {"hook_timeout": 0.2}, "jobs": {"worker": False}}
    async with make_kit(
        [AuthPlugin(), hook], database=database, tmp_path=tmp_path, clock=clock, settings=tables
    ) as kit:
        yield kit


def read(service: AuthService, grant: Grant) -> dict[str, Any]:
    keys = KeySet.import_key_set(service.keys.jwks)
    return dict(jwt.decode(grant.session.access_token, keys, algorithms=["ES256"]).claims)


async def test_claims_are_added_wherever_a_token_is_granted(
    service: AuthService, caller: Caller, signed_up: Grant, hook: ClaimsPlugin
) -> None:
    grants = [signed_up, await service.grant_by_password(caller, ANN, PASSWORD)]
    token = grants[-1].session.refresh_token
    grants += [await service.grant_by_refresh(caller, token) for _ in range(2)]
    assert [grant.reuse for grant in grants] == ["", "", "", "fail-to-save"]
    for grant in grants:
        assert read(service, grant)["org"] == "acme"
        assert service.bearer(grant.session.access_token).id == signed_up.session.user.id
    assert hook.saw == [("password", False)] * 2 + [("password", True)] * 2  # a refresh writes before it asks


def _drop(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def _in_place(claims: dict[str, Any]) -> None:
    claims["role"] = "service_role"


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    **{
        f"without {name}": (_drop(name), f"^{name}: ")
        for name in ("iss", "sub", "aud", "exp", "iat", "role", "aal", "session_id")
    },
    "role": (lambda claims: claims | {"role": "service_role"}, "^role: "),
    "role, in place": (_in_place, "^role: "),
    "exp and aal": (lambda claims: claims | {"exp": claims["exp"] + 1, "aal": "aal2"}, "^exp, aal: "),
    "no dict": (list, "dict or None"),
    "an amr of another form": (lambda claims: claims | {"amr": ["password"]}, "amr"),
    "what JSON does not know": (lambda claims: claims | {"x": {1, object()}}, "claims: "),
    "too much": (lambda claims: claims | {"x": "x" * 9000}, "longer than 8192"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_the_protocol_says_stays(
    service: AuthService, caller: Caller, hook: ClaimsPlugin, tables: Any, name: str
) -> None:
    """The sign-up is undone with it. Red where `_check` is not called."""
    hook.change, message = BAD[name]
    with pytest.raises(ValidationFailed, match=message):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
    assert await tables.read("SELECT count(*) FROM auth_users") == [(0,)]


async def test_none_leaves_the_claims(service: AuthService, caller: Caller, hook: ClaimsPlugin) -> None:
    hook.change = lambda _: None
    assert "org" not in read(service, await service.grant_by_sign_up(caller, ANN, PASSWORD, {}))


async def test_a_slow_hook_is_given_up(
    service: AuthService,
    caller: Caller,
    signed_up: Grant,
    hook: ClaimsPlugin,
    web: Callable[..., httpx.AsyncClient],
    refused: Callable[..., Awaitable[str]],
) -> None:
    """On a refresh with 503: with 422 the client would drop its session. The refresh token stays good."""
    hook.wait = 5
    body = {"email": ANN, "password": PASSWORD}
    await refused(422, "hook_timeout", "POST", "/token?grant_type=password", json=body)
    with pytest.raises(HookTimeout):
        await service.grant_by_password(caller, ANN, PASSWORD)
    with pytest.raises(HookTimeoutAtRefresh):
        await service.grant_by_refresh(caller, signed_up.session.refresh_token)
    async with web() as client:
        token = {"refresh_token": signed_up.session.refresh_token}
        assert (await client.post("/token?grant_type=refresh_token", json=token)).status_code == 503
    hook.wait = 0
    assert (await service.grant_by_refresh(caller, signed_up.session.refresh_token)).counter == 1
