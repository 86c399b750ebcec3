"""Passwords that were hashed elsewhere: accepted once, then ours."""

import builtins
import time
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher

from corekit import Caller
from corekit_auth import imported_hashes
from corekit_auth.drafts import AccountDraft
from corekit_auth.errors import InvalidCredentials, ValidationFailed
from corekit_auth.hashing import OWN_HASH, Hasher
from corekit_auth.purposes import ADMIN
from corekit_auth.service import AuthService
from corekit_auth.settings import AuthSettings

PASSWORD = "user1password"
# The example that Firebase publishes with its scrypt.
FIREBASE = (
    "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,"
    "sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
    "$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
)


def bcrypted(password: str = PASSWORD) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def argon2ed() -> str:
    return PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)


@pytest.mark.parametrize("make", [bcrypted, argon2ed, lambda: FIREBASE], ids=["bcrypt", "argon2", "fbscrypt"])
async def test_3_an_older_hash_signs_in_once_and_is_replaced(
    service: AuthService, caller: Caller, tables: Any, make: Any
) -> None:
    """Statement 3. Goes red when `outdated` says no to other schemes."""
    draft = AccountDraft(email="ann@example.org", password_hash=make(), email_confirm=True)
    await service.admin.create_user(caller.system(ADMIN), draft)
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, "ann@example.org", "wrong horse battery")
    await service.grant_by_password(caller, "ann@example.org", PASSWORD)
    ((stored,),) = await tables.read("SELECT password_hash FROM auth_users")
    assert stored.startswith(OWN_HASH)
    await service.grant_by_password(caller, "ann@example.org", PASSWORD)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$2b$10$short",
        bcrypted().replace("$04$", "$16$"),
        "$argon2id$v=19$broken",
        argon2ed().replace("m=8192", "m=999999"),
        argon2ed().replace("t=1", "t=99"),
        argon2ed().replace("p=1", "p=99"),
        FIREBASE.replace("n=14", "n=30"),
        FIREBASE.replace("p=1,", "p=0,"),
        FIREBASE.replace("v=1", "v=2"),
        FIREBASE.replace("Bw==", "Bwwww"),
    ],
    ids=range(12),
)
def test_what_is_no_hash_or_costs_too_much(stored: str) -> None:
    with pytest.raises(ValidationFailed, match="password_hash: must be bcrypt"):
        imported_hashes.checked(stored)


def test_bcrypt_reads_72_bytes_as_it_always_did() -> None:
    stored = bcrypted("ä" * 36)
    assert imported_hashes.matches(stored, "ä" * 36 + "more")
    assert not imported_hashes.matches(stored, "ä" * 35)


def test_without_the_package_no_bcrypt_hash_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, real = bcrypted(), builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "bcrypt":
            raise ImportError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValidationFailed, match=r"corekit-auth\[bcrypt\]"):
        imported_hashes.checked(stored)
    assert not imported_hashes.matches(stored, PASSWORD)


async def test_4_while_such_hashes_remain_a_check_takes_its_time() -> None:
    """Statement 4: otherwise the time of a refusal tells whose hash is a slow one."""
    hasher = Hasher(AuthSettings(hash_threads=1))
    assert hasher.floor == 0
    assert await hasher.verify(bcrypted(), PASSWORD)
    assert hasher.floor == 0.1
    start = time.perf_counter()
    assert not await hasher.verify(None, PASSWORD)
    assert time.perf_counter() - start >= 0.1
    hasher.close()


@pytest.mark.parametrize(("floor", "imported", "least"), [(0.0, True, 0), (0.3, False, 0.3), (-1, False, 0)])
def test_the_floor_can_be_set(floor: float, least: float, *, imported: bool) -> None:
    hasher = Hasher(AuthSettings(hash_threads=1, sign_in_floor=floor))
    hasher.imported = imported
    assert hasher.floor == least
    hasher.close()


async def test_a_server_that_starts_looks_for_them(service: AuthService, caller: Caller) -> None:
    users = service.parts.users
    for number, (draft, found) in enumerate(
        [({}, False), ({"password": "correct horse battery"}, False), ({"password_hash": bcrypted()}, True)]
    ):
        await service.admin.create_user(caller.system(ADMIN), AccountDraft(email=f"{number}@example.org", **draft))
        async with caller.system(ADMIN).begin(readonly=True) as ctx:
            assert await users.any_imported(ctx) is found
