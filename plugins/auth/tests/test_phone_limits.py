"""How many SMS go to a number: from whoever, for whatever, in all."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from corekit import Caller
from corekit.testing import FakeClock
from corekit_auth.accounts import Changes
from corekit_auth.errors import OverEmailRate, OverSmsRate, ValidationFailed
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN, BEN = "4915112345678", "4915187654321"
ON = {"phone": True, "phone_autoconfirm": False, "mailer_autoconfirm": False}
EASY = {"count": 100, "period": 1, "burst": 100}
SLOW = ON | {"address_interval_rate": EASY, "address_hourly_rate": EASY}


@pytest.mark.parametrize("settings", [ON])
async def test_statement_7_numbers_get_few_messages(
    service: AuthService, caller: Caller, clock: FakeClock, refused: Callable[..., Awaitable[str]]
) -> None:
    for _ in range(5):
        await service.one_time.otp(caller, ANN)
        with pytest.raises(OverSmsRate):
            await service.one_time.otp(caller, ANN)
        clock.move(61)
    with pytest.raises(OverSmsRate):
        await service.one_time.otp(caller, ANN)
    await refused(429, "over_sms_send_rate_limit", "POST", "/otp", json={"phone": ANN})


@pytest.mark.parametrize("settings", [SLOW | {"sms_rate": {"count": 2, "period": 3600, "burst": 2}}])
async def test_all_numbers_together_get_so_many(service: AuthService, caller: Caller) -> None:
    for phone in (ANN, BEN):
        await service.one_time.otp(caller, phone)
    with pytest.raises(OverSmsRate):
        await service.one_time.otp(caller, "4915100000001")


@pytest.mark.parametrize("settings", [SLOW | {"sms_prefixes": ["49", "43"]}])
async def test_only_some_countries(service: AuthService, caller: Caller) -> None:
    await service.one_time.otp(caller, ANN)
    with pytest.raises(ValidationFailed, match="country"):
        await service.one_time.otp(caller, "12025550123")


async def signed_up(service: AuthService, caller: Caller, post: Any, address: str) -> Caller:
    """Make an account by a code."""
    await service.one_time.otp(caller, address)
    phone = "@" not in address
    code = await (post.text() if phone else post.code())
    grant: Grant | None = await service.one_time.verify(
        caller, "sms" if phone else "email", address=address, token=code
    )
    assert grant is not None
    return replace(caller, actor=service.bearer(grant.session.access_token))


@pytest.mark.parametrize("settings", [ON | {"double_email_change": False}])
@pytest.mark.parametrize("phone", [True, False])
async def test_statement_7_many_accounts_together_send_one_number_no_more(
    service: AuthService, caller: Caller, post: Any, clock: FakeClock, *, phone: bool
) -> None:
    """Red where a change that is sent again counts on the present address alone: each account had its own five."""
    own = ["4915100000001", "4915100000002"] if phone else ["ann@example.org", "ben@example.org"]
    victim = BEN if phone else "victim@example.org"
    over, type_ = (OverSmsRate, "phone_change") if phone else (OverEmailRate, "email_change")
    people = {address: await signed_up(service, caller, post, address) for address in own}
    before = len(post.phones.texts) + len(post.recorder.mails)
    for _ in range(12):
        clock.move(61)
        for address, person in people.items():
            for ask in (
                service.update_user(person, Changes(phone=victim) if phone else Changes(email=victim)),
                service.one_time.resend(caller, type_, address),
            ):
                try:
                    await ask
                except over:
                    continue
            await post.deliver()
    sent = [sms.to for sms in post.phones.texts] if phone else [mail.to for mail in post.recorder.mails]
    assert sent[before:] == [victim] * 5


@pytest.mark.parametrize("settings", [ON])
async def test_a_code_that_is_not_sent_again_leaves_the_one_that_was(
    service: AuthService, caller: Caller, post: Any, clock: FakeClock
) -> None:
    """Over the limit nothing is made either: what was sent stays good."""
    ann = await signed_up(service, caller, post, ANN)
    clock.move(61)
    await service.update_user(ann, Changes(phone=BEN))
    code = await post.text()
    await service.one_time.resend(caller, "phone_change", ANN)  # within a minute of the last SMS to that number
    await post.deliver()
    assert [sms.to for sms in post.phones.texts] == [ANN, BEN]
    assert await service.one_time.verify(caller, "phone_change", address=BEN, token=code)
