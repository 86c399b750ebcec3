"""One-time codes: statement 7."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from corekit import Caller
from corekit.testing import FakeClock
from corekit_auth.codes import Codes, Made, Used
from corekit_auth.errors import OtpExpired
from corekit_auth.models import TokenKind
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

ANN = "ann@example.org"


@pytest.fixture
def codes(service: AuthService) -> Codes:
    """Give the noun."""
    return service.parts.codes


@pytest.fixture
def system(caller: Caller) -> Caller:
    """Give who signs people in."""
    return caller.system(SIGN_IN)


@pytest.fixture
def ann(signed_up: Grant) -> UUID:
    """Give somebody with an account."""
    return signed_up.session.user.id


class Desk:
    """Makes and uses codes, each in a transaction of its own."""

    def __init__(self, codes: Codes, system: Caller) -> None:
        self.codes, self.system = codes, system

    async def make(self, user_id: UUID, kind: TokenKind = "recovery", address: str = ANN) -> Made:
        async with self.system.begin() as ctx:
            return await self.codes.make(ctx, user_id, kind, address)

    async def use(self, token: str, kind: TokenKind = "recovery", address: str = ANN) -> Used:
        async with self.system.begin() as ctx:
            return await self.codes.use(ctx, [kind], address, token)

    async def use_hash(self, token_hash: str, kind: TokenKind = "recovery") -> Used:
        async with self.system.begin() as ctx:
            return await self.codes.use_hash(ctx, [kind], token_hash)


@pytest.fixture
def desk(codes: Codes, system: Caller) -> Desk:
    """Give a way to make and use codes."""
    return Desk(codes, system)


def wrong(made: Made) -> str:
    """Give other digits."""
    return str((int(made.token) + 1) % 10**6).zfill(6)


async def test_statement_7_a_code_is_used_once_by_digits_or_by_link(desk: Desk, ann: UUID) -> None:
    """Mutation: leave out the deletion in `Codes._taken`."""
    made = await desk.make(ann)
    assert len(made.token) == 6
    assert made.token.isdigit()
    used = await desk.use(made.token)
    assert (used.user_id, used.kind, used.token_hash) == (ann, "recovery", made.token_hash)
    for again in (desk.use(made.token), desk.use_hash(made.token_hash)):
        with pytest.raises(OtpExpired):
            await again
    made = await desk.make(ann)
    assert (await desk.use_hash(made.token_hash)).user_id == ann
    with pytest.raises(OtpExpired):
        await desk.use(made.token)


async def test_statement_7_it_is_bound_to_address_and_purpose(desk: Desk, ann: UUID) -> None:
    made = await desk.make(ann)
    with pytest.raises(OtpExpired):
        await desk.use(made.token, "magiclink")
    with pytest.raises(OtpExpired):
        await desk.use(made.token, address="bob@example.org")
    with pytest.raises(OtpExpired):
        await desk.use_hash(made.token_hash, "magiclink")
    assert await desk.use(made.token)


async def test_statement_7_it_dies_after_five_wrong_tries(desk: Desk, ann: UUID, tables: Any) -> None:
    """Mutation: raise a problem that is not `Refused` in `Codes.use`, or leave out `tries <`."""
    made = await desk.make(ann)
    answers = await asyncio.gather(*(desk.use(wrong(made)) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(answer, OtpExpired) for answer in answers)
    assert [tuple(row) for row in await tables.read("SELECT tries FROM auth_one_time_tokens")] == [(5,)]
    for right in (desk.use(made.token), desk.use_hash(made.token_hash)):
        with pytest.raises(OtpExpired):
            await right


async def test_statement_7_four_wrong_tries_leave_one(desk: Desk, ann: UUID) -> None:
    made = await desk.make(ann)
    for _ in range(4):
        with pytest.raises(OtpExpired):
            await desk.use(wrong(made))
    assert await desk.use(made.token)


async def test_statement_7_only_the_newest_counts(desk: Desk, ann: UUID, tables: Any) -> None:
    older, newer = await desk.make(ann), await desk.make(ann)
    other = await desk.make(ann, "magiclink")
    with pytest.raises(OtpExpired):
        await desk.use_hash(older.token_hash)
    assert len(await tables.read("SELECT id FROM auth_one_time_tokens")) == 2
    assert await desk.use(newer.token)
    assert await desk.use(other.token, "magiclink")


async def test_statement_7_it_lives_ten_minutes(desk: Desk, ann: UUID, clock: FakeClock) -> None:
    made = await desk.make(ann)
    clock.move(599)
    assert await desk.use(made.token)
    made = await desk.make(ann)
    clock.move(600)
    for late in (desk.use(made.token), desk.use_hash(made.token_hash)):
        with pytest.raises(OtpExpired):
            await late


@pytest.mark.parametrize("by", ["digits", "link"])
async def test_twenty_parallel_uses_of_one_code_have_one_success(desk: Desk, ann: UUID, by: str) -> None:
    made = await desk.make(ann)
    uses = [desk.use(made.token) if by == "digits" else desk.use_hash(made.token_hash) for _ in range(20)]
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(answer, Used) for answer in answers) == 1
    assert sum(isinstance(answer, OtpExpired) for answer in answers) == 19


async def test_neither_digits_nor_link_nor_address_are_stored(desk: Desk, ann: UUID, tables: Any) -> None:
    made = await desk.make(ann)
    row = (await tables.read("SELECT * FROM auth_one_time_tokens"))[0]
    stored = b"|".join(bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in row)
    for secret in (made.token.encode() + b"|", ANN.encode(), made.token_hash.encode(), bytes.fromhex(made.token_hash)):
        assert secret not in stored


@pytest.mark.parametrize("settings", [{"otp_length": 10}])
async def test_the_operator_sets_the_length(desk: Desk, ann: UUID) -> None:
    made = await desk.make(ann)
    assert len(made.token) == 10
    with pytest.raises(OtpExpired):
        await desk.use(made.token[:6])
    assert await desk.use(made.token)


async def test_all_codes_of_an_account_can_be_voided(desk: Desk, codes: Codes, ann: UUID, system: Caller) -> None:
    first, second = await desk.make(ann), await desk.make(ann, "magiclink")
    async with system.begin() as ctx:
        await codes.void(ctx, ann, "magiclink")
    with pytest.raises(OtpExpired):
        await desk.use(second.token, "magiclink")
    async with system.begin() as ctx:
        await codes.void(ctx, ann)
    with pytest.raises(OtpExpired):
        await desk.use(first.token)
