"""Flows: states that are spent once, auth codes that are exchanged once."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest

from corekit import Caller, Corekit
from corekit.testing import FakeClock
from corekit_auth.errors import BadCodeVerifier, FlowStateExpired, FlowStateNotFound
from corekit_auth.flows import Flow, Flows, Pkce
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def flows(service: AuthService) -> Flows:
    """Give the noun."""
    return service.parts.flows


@pytest.fixture
def system(caller: Caller) -> Caller:
    """Give who signs people in."""
    return caller.system(SIGN_IN)


async def test_a_state_brings_its_flow_back_once(flows: Flows, system: Caller, clock: FakeClock, tables: Any) -> None:
    async with system.begin() as ctx:
        flow_id, state = await flows.create(
            ctx, "social", provider="google", payload={"nonce": "n-canary"}, redirect_to="https://app.example/a"
        )
    rows = await tables.read("SELECT * FROM auth_flow_states")
    assert state not in str(rows)
    assert "n-canary" not in str(rows)  # sealed
    async with system.begin() as ctx:
        assert await flows.spend(ctx, "social", state + "x") is None
        assert await flows.spend(ctx, "mail", state) is None  # another kind's
        flow = await flows.spend(ctx, "social", state)
        assert flow is not None
        assert (flow.id, flow.kind, flow.provider, flow.payload) == (flow_id, "social", "google", {"nonce": "n-canary"})
        assert (flow.redirect_to, flow.pkce, flow.used) == ("https://app.example/a", None, True)
        assert await flows.spend(ctx, "social", state) is None
        _, late = await flows.create(ctx, "social")
    clock.move(300)
    async with system.begin() as ctx:
        assert await flows.spend(ctx, "social", late) is None
        assert await flows.find(ctx, flow_id) is None


async def _spend(flows: Flows, system: Caller, state: str) -> Flow | None:
    async with system.begin() as ctx:
        return await flows.spend(ctx, "social", state)


async def test_twenty_parallel_uses_of_a_state_have_one_success(flows: Flows, system: Caller) -> None:
    """Statement 16."""
    async with system.begin() as ctx:
        _, state = await flows.create(ctx, "social")
    answers = await asyncio.gather(*(_spend(flows, system, state) for _ in range(20)))
    assert sum(answer is not None for answer in answers) == 1


async def _issued(flows: Flows, system: Caller, person: Grant, pkce: Pkce | None) -> str:
    async with system.begin() as ctx:
        flow_id, _ = await flows.create(ctx, "magiclink", pkce=pkce)
        return await flows.issue(ctx, flow_id, person.session.user.id, payload={"method": "magiclink"})


async def _exchange(flows: Flows, system: Caller, code: str, verifier: str = VERIFIER) -> Flow:
    async with system.begin() as ctx:
        return await flows.exchange(ctx, code, verifier)


async def test_an_auth_code_is_for_the_client_that_began(
    flows: Flows, system: Caller, signed_up: Grant, tables: Any
) -> None:
    code = await _issued(flows, system, signed_up, Pkce(CHALLENGE))
    assert code not in str(await tables.read("SELECT * FROM auth_flow_states"))
    with pytest.raises(BadCodeVerifier):
        await _exchange(flows, system, code, "w" * 43)
    with pytest.raises(BadCodeVerifier):
        await _exchange(flows, system, code, CHALLENGE)  # S256 means S256
    with pytest.raises(FlowStateNotFound):
        await _exchange(flows, system, code + "x")
    flow = await _exchange(flows, system, code)
    assert (flow.user_id, flow.payload) == (signed_up.session.user.id, {"method": "magiclink"})
    with pytest.raises(FlowStateNotFound):
        await _exchange(flows, system, code)
    assert await tables.read("SELECT id FROM auth_flow_states") == []
    plain = await _issued(flows, system, signed_up, Pkce(VERIFIER, "plain"))
    assert (await _exchange(flows, system, plain)).user_id == signed_up.session.user.id


async def test_an_auth_code_lives_minutes_and_needs_a_challenge(
    flows: Flows, system: Caller, signed_up: Grant, clock: FakeClock
) -> None:
    with pytest.raises(BadCodeVerifier):
        await _exchange(flows, system, await _issued(flows, system, signed_up, None))
    code = await _issued(flows, system, signed_up, Pkce(CHALLENGE))
    clock.move(300)
    with pytest.raises(FlowStateExpired):
        await _exchange(flows, system, code)


async def test_twenty_parallel_exchanges_have_one_success(flows: Flows, system: Caller, signed_up: Grant) -> None:
    code = await _issued(flows, system, signed_up, Pkce(CHALLENGE))
    answers = await asyncio.gather(*(_exchange(flows, system, code) for _ in range(20)), return_exceptions=True)
    assert sorted({type(answer).__name__ for answer in answers}) == ["Flow", "FlowStateNotFound"]
    assert sum(isinstance(answer, Flow) for answer in answers) == 1


async def test_a_flow_can_be_bound_to_what_a_link_carries(
    flows: Flows, system: Caller, signed_up: Grant, kit: Corekit
) -> None:
    person = signed_up.session.user.id
    async with system.begin() as ctx:
        flow_id, first = await flows.create(ctx, "magiclink", pkce=Pkce(CHALLENGE))
        await flows.bind(ctx, flow_id, state="link", user_id=person, payload={"a": 1}, ttl=600)
        assert await flows.spend(ctx, "magiclink", first) is None
        flow = await flows.spend(ctx, "magiclink", "link")
        assert flow is not None
        assert (flow.user_id, flow.payload) == (person, {"a": 1})
        assert (flow.expires_at - kit.clock.now()).total_seconds() == 600
        await flows.drop(ctx, flow_id)
        with pytest.raises(FlowStateNotFound):
            await flows.issue(ctx, flow_id, person)
