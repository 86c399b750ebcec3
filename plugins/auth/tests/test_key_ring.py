"""Statement 15: keys are rotated, imported and retired while tokens of theirs are in use."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from sqlalchemy import update

from corekit import Actor, Caller, Corekit
from corekit.contracts.auth import Denied
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.errors import KeyNotFound, ValidationFailed
from corekit_auth.key_ring import KeyRing, Rotation
from corekit_auth.models import SigningKeyRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import KEYS
from corekit_auth.service import AuthService

LEAD, DAY = 1200, 86_400
Web = Callable[..., httpx.AsyncClient]


class Ring:
    """The verbs, each in a context of its own."""

    def __init__(self, kit: Corekit) -> None:
        self._kit = kit
        self._ring = kit.get(AuthService).key_ring

    async def do(self, verb: str, *arguments: Any, **named: Any) -> Any:
        async with self._kit.caller().system(KEYS).begin() as ctx:
            return await getattr(self._ring, verb)(ctx, *arguments, **named)

    async def states(self) -> list[tuple[str, str]]:
        return [(key.kid, key.state) for key in await self.do("all")]


@pytest.fixture
def ring(kit: Corekit) -> Ring:
    return Ring(kit)


def jwks(*keys: Any, private: bool = True, **members: str) -> bytes:
    return msgspec.json.encode({"keys": [{**key.as_dict(private=private), **members} for key in keys]})


def foreign(service: AuthService, key: Any, alg: str, kid: str, grant: Grant) -> str:
    """Sign the claims of a token of ours as the server did from which somebody moves here."""
    ours = KeySet.import_key_set(service.keys.jwks)
    claims = jwt.decode(grant.session.access_token, ours, algorithms=["ES256"]).claims
    return jwt.encode({"alg": alg, "kid": kid, "typ": "JWT"}, claims, key, algorithms=[alg])


async def test_the_first_rotation_publishes_the_second_signs(
    service: AuthService, ring: Ring, clock: FakeClock, tables: Any
) -> None:
    first = service.keys.kid
    waits = await ring.do("rotate")
    assert waits == Rotation(rotated=False, signing=first, next=waits.next, due=clock.now() + timedelta(seconds=LEAD))
    assert await service.keys.look()
    assert [key["kid"] for key in service.keys.jwks["keys"]] == [first, waits.next]
    assert service.keys.kid == first
    clock.move(LEAD - 1)
    assert not (await ring.do("rotate")).rotated
    clock.move(1)
    assert await ring.do("rotate") == Rotation(rotated=True, signing=waits.next)
    assert await ring.states() == [(first, "verifying"), (waits.next, "signing")]
    assert "auth.key_rotated" in await tables.told()


async def test_rotation_under_load_refuses_nobody(
    kit: Corekit, service: AuthService, caller: Caller, ring: Ring, signed_up: Grant, web: Web, clock: FakeClock
) -> None:
    """Requests go on while keys are published, promoted and retired. Red where `rotate` retires the old key at once."""
    answers: list[list[int]] = [[], []]
    over = asyncio.Event()
    grants = [signed_up, await service.grant_by_password(caller, "ann@example.org", "correct horse battery")]

    async def load(grant: Grant, mine: list[int]) -> None:
        refresh, access = grant.session.refresh_token, grant.session.access_token
        async with web() as client:
            while not over.is_set():
                bearer = {"Authorization": f"Bearer {access}"}
                seen = await client.get("/user", headers=bearer)
                again = await client.post("/token?grant_type=refresh_token", json={"refresh_token": refresh})
                mine.extend((seen.status_code, again.status_code))
                refresh, access = again.json()["refresh_token"], again.json()["access_token"]

    async def served() -> None:
        """Wait until each has got some more answers."""
        seen = [len(mine) for mine in answers]
        async with asyncio.timeout(60):
            while any(len(mine) < before + 4 for mine, before in zip(answers, seen, strict=True)):
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        for grant, mine in zip(grants, answers, strict=True):
            tasks.create_task(load(grant, mine))
        kids = {service.keys.kid}
        for _ in range(8):
            await ring.do("rotate")
            await service.keys.look()
            await served()
            kids.add(service.keys.kid)
            clock.move(LEAD / 2)  # less than the life of a token
            await ring.do("tend")
            await service.keys.look()
            await served()
        over.set()
    assert len(kids) == 3
    assert {"retired", "signing"} <= {state for _, state in await ring.states()}
    assert {*answers[0], *answers[1]} == {200}


@pytest.mark.parametrize("settings", [{"revocation_poll": 0.05}])
async def test_another_process_follows_a_rotation(
    kit: Corekit, service: AuthService, caller: Caller, ring: Ring, signed_up: Grant, tmp_path: Path, clock: FakeClock
) -> None:
    """By its poll; and at once where it meets a token under a key that it does not know."""
    async with make_kit([AuthPlugin()], database=kit.database.settings, tmp_path=tmp_path, clock=clock) as other:
        theirs = other.get(AuthService)
        await ring.do("rotate")
        clock.move(LEAD)
        await ring.do("rotate")
        assert await service.keys.look() or service.keys.kid != theirs.keys.kid
        fresh = (await service.grant_by_refresh(caller, signed_up.session.refresh_token)).session.access_token
        theirs.keys._looked = -1.0
        assert isinstance(await theirs.authenticate(fresh), Actor)
        assert theirs.keys.kid == service.keys.kid
        await ring.do("rotate")
        async with asyncio.timeout(5):
            while len(theirs.keys.jwks["keys"]) < 3:
                await asyncio.sleep(0.05)


async def test_made_up_kids_cost_no_statement_each(service: AuthService, signed_up: Grant) -> None:
    looks = 0
    original = service.keys.look

    async def counted() -> bool:
        nonlocal looks
        looks += 1
        return await original()

    service.keys.look = counted  # type: ignore[method-assign]
    service.keys._looked = -1.0
    token = foreign(service, ECKey.generate_key("P-256", private=True), "ES256", "made up", signed_up)
    assert [await service.authenticate(token) for _ in range(20)] == [Denied("invalid")] * 20
    assert looks <= 3


async def test_a_retired_key_is_refused_at_once_and_stays_ours(
    service: AuthService, caller: Caller, ring: Ring, signed_up: Grant, web: Web
) -> None:
    """Also a token that was checked a moment ago; another key signs, and clients refresh."""
    token, old = signed_up.session.access_token, service.keys.kid
    assert isinstance(await service.authenticate(token), Actor)
    await ring.do("retire", old)
    assert await service.keys.look()
    assert await service.authenticate(token) == Denied("invalid")
    assert old not in str(service.keys.jwks)
    async with web(token) as client:
        assert (await client.get("/user")).json()["error_code"] == "bad_jwt"
    fresh = await service.grant_by_refresh(caller, signed_up.session.refresh_token)
    assert isinstance(await service.authenticate(fresh.session.access_token), Actor)
    with pytest.raises(KeyNotFound):
        await ring.do("retire", "nobody's")


async def test_the_daily_job_rotates_by_age_and_retires_what_is_over(
    kit: Corekit, service: AuthService, ring: Ring, clock: FakeClock
) -> None:
    plugin = next(plugin for plugin in kit.plugins if plugin.name == "auth")
    first = service.keys.kid

    async def day() -> list[tuple[str, str]]:
        clock.move(DAY)
        async with kit.caller().system(KEYS).begin() as ctx:
            await plugin.tend_keys(ctx)  # type: ignore[attr-defined]
        return await ring.states()

    clock.move(88 * DAY - DAY)
    assert await day() == [(first, "signing")]
    published = await day()
    second = published[1][0]
    assert published == [(first, "signing"), (second, "next")]
    assert await day() == [(first, "verifying"), (second, "signing")]
    assert await day() == [(first, "retired"), (second, "signing")]


async def test_a_verifying_key_waits_for_its_last_token(ring: Ring, clock: FakeClock, service: AuthService) -> None:
    first = service.keys.kid
    await ring.do("rotate")
    clock.move(LEAD)
    await ring.do("rotate")
    clock.move(960)
    await ring.do("tend")
    assert (first, "verifying") in await ring.states()
    clock.move(1)
    await ring.do("tend")
    assert (first, "retired") in await ring.states()


async def test_two_rotations_at_once_are_one(ring: Ring, clock: FakeClock, tables: Any) -> None:
    await ring.do("generate")
    clock.move(LEAD)
    done = await asyncio.gather(*(ring.do("rotate") for _ in range(3)))
    assert [one.rotated for one in done].count(True) == 1
    states = [state for _, state in await ring.states()]
    assert (states.count("signing"), states.count("verifying")) == (1, 1)


@pytest.mark.parametrize("kind", ["jwks", "jwk", "pem"])
@pytest.mark.parametrize("alg", ["RS256", "ES256", "HS256"])
async def test_live_tokens_of_an_imported_key_are_accepted(
    service: AuthService, ring: Ring, signed_up: Grant, web: Web, alg: str, kind: str
) -> None:
    """Red where `import_` does not reach the verifier of a running process."""
    makers: dict[str, Callable[[], Any]] = {
        "RS256": lambda: RSAKey.generate_key(2048, private=True),
        "ES256": lambda: ECKey.generate_key("P-256", private=True),
        "HS256": lambda: OctKey.generate_key(256),
    }
    key, kid = makers[alg](), str(uuid4())
    if kind == "pem":
        if alg == "HS256":
            pytest.skip("a secret has no PEM")
        file, kid = key.as_pem(private=True), key.thumbprint()
    else:
        file = jwks(key, kid=kid, alg=alg, use="sig")
        file = file if kind == "jwks" else msgspec.json.encode(msgspec.json.decode(file)["keys"][0])
    token = foreign(service, key, alg, kid, signed_up)
    assert await service.authenticate(token) == Denied("invalid")
    (imported,) = await ring.do("import_", file)
    assert (imported.kid, imported.alg, imported.state, imported.new) == (kid, alg, "verifying", True)
    await service.keys.look()
    actor = await service.authenticate(token)
    assert isinstance(actor, Actor)
    assert actor.id == signed_up.session.user.id
    async with web(token) as client:
        assert (await client.get("/user")).status_code == 200
        published = (await client.get("/.well-known/jwks.json")).json()["keys"]
    assert (kid in [one["kid"] for one in published]) == (alg != "HS256")
    assert all(set(one) <= {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"} for one in published)
    assert not (await ring.do("import_", file))[0].new


@pytest.mark.parametrize("alg", ["RS256", "ES256", "HS256"])
async def test_an_imported_key_signs_if_it_is_to(
    service: AuthService, caller: Caller, ring: Ring, signed_up: Grant, clock: FakeClock, web: Web, alg: str
) -> None:
    key = {
        "RS256": RSAKey.generate_key(2048, private=True),
        "ES256": ECKey.generate_key("P-256", private=True),
        "HS256": OctKey.generate_key(256),
    }[alg]
    await ring.do("import_", jwks(key, kid="mine"), as_next=True)
    clock.move(LEAD - 60)
    before = await service.grant_by_refresh(caller, signed_up.session.refresh_token)
    clock.move(60)
    assert (await ring.do("rotate")).signing == "mine"
    await service.keys.look()
    token = (await service.grant_by_refresh(caller, before.session.refresh_token)).session.access_token
    assert jwt.decode(token, key, algorithms=[alg]).header == {"alg": alg, "kid": "mine", "typ": "JWT"}
    assert isinstance(await service.authenticate(token), Actor)
    assert isinstance(await service.authenticate(before.session.access_token), Actor)
    async with web() as client:
        metadata = (await client.get("/.well-known/openid-configuration")).json()
    assert metadata["id_token_signing_alg_values_supported"] == sorted({alg, "ES256"})


async def test_a_public_half_verifies_and_cannot_sign(service: AuthService, ring: Ring, signed_up: Grant) -> None:
    key = ECKey.generate_key("P-256", private=True)
    file = jwks(key, kid="theirs", private=False)
    with pytest.raises(ValidationFailed, match="private half"):
        await ring.do("import_", file, as_next=True)
    await ring.do("import_", file)
    await service.keys.look()
    assert isinstance(await service.authenticate(foreign(service, key, "ES256", "theirs", signed_up)), Actor)


async def test_imported_keys_are_kept_as_long_as_their_tokens_may_live(
    kit: Corekit, ring: Ring, clock: FakeClock
) -> None:
    """A week; a secret under which eternal service keys were made stays while these are accepted."""
    await ring.do("import_", jwks(RSAKey.generate_key(2048, private=True), kid="rsa"))
    await ring.do("import_", jwks(OctKey.generate_key(256), kid="secret"))
    clock.move(7 * DAY)
    await ring.do("tend")
    assert {state for kid, state in await ring.states() if kid in {"rsa", "secret"}} == {"verifying"}
    clock.move(1)
    lasting = KeyRing(msgspec.structs.replace(kit.get(AuthService).settings, legacy_service_jwt=True))
    async with kit.caller().system(KEYS).begin() as ctx:
        await lasting.tend(ctx)
    assert ("secret", "verifying") in await ring.states()
    assert ("rsa", "retired") in await ring.states()
    await ring.do("tend")
    assert ("secret", "retired") in await ring.states()


SHORT = {"kty": "oct", "k": "c2hvcnQ", "kid": "x"}
BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "^file: "),
    "no keys": (b'{"keys": []}', "^keys: "),
    "keys that are none": (b'{"keys": [1]}', r"^keys\[0\].kty: "),
    "too large": (b" " * ((1 << 20) + 1), "^file: at most"),
    "a short secret": (msgspec.json.encode({"keys": [SHORT]}), r"^keys\[0\].k: at least 32"),
    "another curve": (jwks(ECKey.generate_key("P-384", private=True)), r"^keys\[0\].crv: P-256"),
    "another algorithm": (jwks(ECKey.generate_key("P-256", private=True), alg="ES384"), r"^keys\[0\].alg: "),
    "for encryption": (jwks(RSAKey.generate_key(2048, private=True), use="enc"), r"^keys\[0\].alg: "),
    "half a key": (b'{"kty": "RSA", "n": "AQAB"}', r"^keys\[0\]: "),
    "broken PEM": (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "^file: PEM"),
    "Edwards": (b'{"kty": "OKP", "crv": "Ed25519", "x": "AA"}', r"^keys\[0\].kty: one of EC, RSA, oct"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_file_that_does_not_fit_is_refused_whole(ring: Ring, name: str) -> None:
    before = await ring.states()
    file, message = BAD[name]
    with pytest.raises(ValidationFailed, match=message):
        await ring.do("import_", file)
    assert await ring.states() == before


async def test_another_key_of_the_same_kid_is_refused(ring: Ring) -> None:
    for make in (lambda: OctKey.generate_key(256), lambda: ECKey.generate_key("P-256", private=True)):
        kid = str(uuid4())
        await ring.do("import_", jwks(make(), kid=kid))
        with pytest.raises(ValidationFailed, match="is another key here"):
            await ring.do("import_", jwks(make(), kid=kid))


def eternal(key: Any, role: str = "service_role", **header: str) -> str:
    claims = {"iss": "supabase", "ref": "abcdefgh", "role": role, "iat": 1_700_000_000, "exp": 2_700_000_000}
    return jwt.encode({"alg": "HS256", "typ": "JWT", **header}, claims, key, algorithms=["HS256"])


@pytest.mark.parametrize("settings", [{"legacy_service_jwt": True}, {"legacy_service_jwt": False}])
async def test_eternal_service_keys_are_taken_only_if_they_are_to_be(
    service: AuthService, ring: Ring, settings: dict[str, Any], refused: Any, clock: FakeClock
) -> None:
    key = OctKey.generate_key(256)
    await ring.do("import_", jwks(key, kid="legacy"))
    await service.keys.look()
    on = settings["legacy_service_jwt"]
    admitted = (404, "feature_disabled") if on else (403, "bad_jwt")
    for token in (eternal(key), eternal(key, kid="legacy")):
        actor = await service.authenticate(token)
        assert isinstance(actor, Actor) == on
        if isinstance(actor, Actor):
            assert (actor.kind, actor.proof and actor.proof.role) == ("service", "service_role")
        await refused(*admitted, "GET", "/admin/nothing", token)
        await refused(*admitted, "GET", "/admin/nothing", "anon", headers={"apikey": token})
    others = [eternal(key, role="anon"), eternal(OctKey.generate_key(256)), eternal(key, kid="unknown")]
    clock.move(40 * 365 * DAY)
    for token in (*others, eternal(key)):
        assert not isinstance(await service.authenticate(token), Actor)
        await refused(403, "bad_jwt", "GET", "/admin/nothing", token)


async def test_without_a_signing_key_the_old_ones_are_kept(service: AuthService, tables: Any) -> None:
    """Somebody took every key away by hand: this process goes on with what it has."""
    kid = service.keys.kid
    await tables.write(update(SigningKeyRow).values(state="retired"))
    assert not await service.keys.look()
    assert service.keys.kid == kid
