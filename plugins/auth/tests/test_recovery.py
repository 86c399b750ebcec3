"""Recovery codes: shown once, used once, and a way back to a disabled factor."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from sqlalchemy import update

from corekit import Caller
from corekit.testing import FakeClock
from corekit_auth.errors import (
    AnonymousHasNoFactors,
    InsufficientAal,
    OverRequestRate,
    StaleSignIn,
    VerificationFailed,
)
from corekit_auth.models import FactorRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"


@pytest.fixture
def ann(service: AuthService, caller: Caller, signed_up: Grant) -> Caller:
    """Give who has just signed up."""
    return replace(caller, actor=service.bearer(signed_up.session.access_token))


async def passed(service: AuthService, ann: Caller, ahead: int = 0) -> Any:
    """Enrol a factor and pass it; return it."""
    enrolled = await service.factors.enroll(ann, "totp")
    challenge = await service.factors.challenge(ann, enrolled.id)
    code = pyotp.TOTP(enrolled.totp.secret).at(ann.kit.clock.now() + timedelta(seconds=ahead))
    await service.factors.verify(ann, enrolled.id, challenge.id, code)
    return enrolled


async def codes_of(service: AuthService, ann: Caller) -> list[str]:
    async with ann.system(SIGN_IN).begin() as ctx:
        return (await service.recovery_codes.replace(ctx)).codes


async def again(service: AuthService, caller: Caller) -> Caller:
    grant = await service.grant_by_password(caller, ANN, PASSWORD)
    return replace(caller, actor=service.bearer(grant.session.access_token))


async def test_statement_9_a_code_takes_the_place_of_a_factor_once(
    service: AuthService, ann: Caller, caller: Caller, tables: Any
) -> None:
    """Goes red when a used code passes again, or the codes are kept as they are."""
    await passed(service, ann)
    codes = await codes_of(service, ann)
    assert len(set(codes)) == 10
    assert {len(code.replace("-", "")) * 5 for code in codes} == {80}
    stored = await tables.read("SELECT mac FROM auth_recovery_codes")
    assert {len(bytes(mac)) for (mac,) in stored} == {32}
    weak = await again(service, caller)
    lifted = await service.recovery_codes.verify(weak, codes[0].upper().replace("-", " "))
    proof = service.bearer(lifted.session.access_token).proof
    assert proof is not None
    assert (proof.aal, proof.methods) == (2, ("recovery_code", "password"))
    assert lifted.counter == 2
    with pytest.raises(VerificationFailed):
        await service.recovery_codes.verify(weak, codes[0])
    await service.recovery_codes.verify(weak, codes[1])
    told = await tables.read("SELECT payload FROM corekit_outbox WHERE tag = 'auth.recovery_code_used'")
    assert [left in str(body) for left, (body,) in zip(('"left":9', '"left":8'), told, strict=True)] == [True, True]
    assert "auth.recovery_codes_replaced" in await tables.told()


async def test_statement_9_of_twenty_uses_of_one_code_one_passes(service: AuthService, ann: Caller) -> None:
    """Goes red when neither the look-up nor the statement that spends a code asks whether it was used."""
    await passed(service, ann)
    code = (await codes_of(service, ann))[0]
    uses = [service.recovery_codes.verify(ann, code) for _ in range(20)]
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, Grant)]) == 1
    refused = [answer for answer in answers if not isinstance(answer, Grant)]
    assert all(isinstance(answer, VerificationFailed | OverRequestRate) for answer in refused)


async def test_statement_9_new_codes_void_the_old(service: AuthService, ann: Caller) -> None:
    """Goes red when an old set stays beside the new one."""
    await passed(service, ann)
    old, new = await codes_of(service, ann), await codes_of(service, ann)
    with pytest.raises(VerificationFailed):
        await service.recovery_codes.verify(ann, old[0])
    await service.recovery_codes.verify(ann, new[0])


async def test_guesses_wait(service: AuthService, ann: Caller, clock: FakeClock) -> None:
    await passed(service, ann)
    codes = await codes_of(service, ann)
    for _ in range(10):
        with pytest.raises(VerificationFailed):
            await service.recovery_codes.verify(ann, "aaaa-bbbb-cccc-dddd")
    with pytest.raises(OverRequestRate):
        await service.recovery_codes.verify(ann, codes[0])
    clock.move(31)
    await service.recovery_codes.verify(ann, codes[0])


async def test_who_may_have_codes(service: AuthService, ann: Caller, clock: FakeClock, tables: Any) -> None:
    """Codes made without a second factor would be a way around one that is enrolled later."""
    with pytest.raises(InsufficientAal):
        await codes_of(service, ann)
    await passed(service, ann)
    await codes_of(service, ann)
    clock.move(901)
    with pytest.raises(StaleSignIn):
        await codes_of(service, ann)
    await tables.write(update(UserRow).values(is_anonymous=True))
    with pytest.raises(AnonymousHasNoFactors):
        await codes_of(service, ann)


async def test_a_code_enables_a_disabled_factor_and_goes_with_the_last_one(
    service: AuthService, ann: Caller, caller: Caller, clock: FakeClock, tables: Any
) -> None:
    enrolled = await passed(service, ann)
    codes = await codes_of(service, ann)
    await tables.write(update(FactorRow).values(failures=100, disabled_at=clock.now()))
    weak = await again(service, caller)
    await service.recovery_codes.verify(weak, codes[0])
    assert await tables.read("SELECT failures, disabled_at FROM auth_factors") == [(0, None)]
    clock.move(60)
    challenge = await service.factors.challenge(weak, enrolled.id)
    code = pyotp.TOTP(enrolled.totp.secret).at(clock.now())
    await service.factors.verify(weak, enrolled.id, challenge.id, code)
    async with weak.system(SIGN_IN).begin() as ctx:
        await service.factors.unenroll(ctx, enrolled.id)
    assert await tables.read("SELECT count(*) FROM auth_recovery_codes") == [(0,)]
    with pytest.raises(VerificationFailed):
        await service.recovery_codes.verify(weak, codes[1])
