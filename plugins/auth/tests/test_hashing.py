"""Statement 3, and that hashing harms nobody else."""

import asyncio
import threading
import time

import pytest
from argon2 import PasswordHasher

from corekit_auth.errors import Overloaded
from corekit_auth.hashing import Hasher
from corekit_auth.settings import AuthSettings


@pytest.fixture
def hasher() -> Hasher:
    return Hasher(AuthSettings(hash_threads=1))


async def test_a_hash_is_argon2id_with_our_parameters(hasher: Hasher) -> None:
    stored = await hasher.hash("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not hasher.outdated(stored)
    assert await hasher.verify(stored, "correct horse battery")
    assert not await hasher.verify(stored, "correct horse batterx")


async def test_other_parameters_are_outdated_but_good(hasher: Hasher) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("correct horse battery")
    assert await hasher.verify(weaker, "correct horse battery")
    assert hasher.outdated(weaker)


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$broken"])
async def test_without_a_hash_nothing_fits(hasher: Hasher, stored: str | None) -> None:
    assert not await hasher.verify(stored, "correct horse battery")


async def test_the_loop_is_free_while_it_hashes(hasher: Hasher) -> None:
    """The work runs in a thread of ours."""
    ticks, names = 0, set()

    def work() -> None:
        names.add(threading.current_thread().name)
        time.sleep(0.1)

    task = asyncio.create_task(hasher._run(work))
    while not task.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks > 5
    assert names == {"auth-hash_0"}


async def test_a_queue_that_would_take_too_long_says_no() -> None:
    hasher = Hasher(AuthSettings(hash_threads=1, hash_wait=0.1))
    hasher._seconds = 0.05
    tasks = [asyncio.create_task(hasher.hash("correct horse battery")) for _ in range(10)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [one for one in done if isinstance(one, Overloaded)]
    assert refused
    assert len(refused) < 10
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].status == 503
    assert await hasher.verify(await hasher.hash("x"), "x")
