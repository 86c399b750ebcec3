"""Password hashes, in threads of their own: never on the event loop, never while a context is open."""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from corekit_auth import imported_hashes
from corekit_auth.errors import Overloaded
from corekit_auth.settings import AuthSettings

R = TypeVar("R")
OWN_HASH = "$argon2id$v=19$m=19456,t=2,p=1$"
_FIRST_GUESS = 0.03
_FLOOR = 0.1  # the least time of a check while imported hashes remain: they take longer than ours, which would tell


class Hasher:
    """Argon2id with 19 MiB, two passes, one lane (OWASP's first choice); a queue that says no before it is too long."""

    def __init__(self, settings: AuthSettings) -> None:
        self._argon2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._threads = settings.hash_threads or os.cpu_count() or 1
        self._wait = settings.hash_wait
        self._floor = settings.sign_in_floor
        self.imported = False  # whether hashes of other schemes are stored, as far as this process knows
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="auth-hash")
        self._waiting = 0
        self._seconds = _FIRST_GUESS
        self._dummy = self._argon2.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """Hash a password (PHC string).

        Raises:
            Overloaded: the queue would take longer than `hash_wait`.

        """
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Check a password; where there is no hash, the same work is done for nothing, so that time tells nothing.

        Raises:
            Overloaded: the queue would take longer than `hash_wait`.

        """
        started = time.perf_counter()
        self.imported = self.imported or bool(stored and not stored.startswith(OWN_HASH))
        right = await self._run(lambda: self._matches(stored or self._dummy, password)) and stored is not None
        await asyncio.sleep(max(started + self.floor - time.perf_counter(), 0))
        return right

    @property
    def floor(self) -> float:
        """The least time that a check takes, in seconds (`sign_in_floor`)."""
        if self._floor >= 0:
            return self._floor
        return _FLOOR if self.imported else 0

    def outdated(self, stored: str) -> bool:
        """Tell whether a hash is of another scheme, or was made with other parameters."""
        return imported_hashes.foreign(stored) or self._argon2.check_needs_rehash(stored)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        if imported_hashes.foreign(stored):
            return imported_hashes.matches(stored, password)
        try:
            return self._argon2.verify(stored, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], R]) -> R:
        expected = self._seconds * self._waiting / self._threads
        if expected > self._wait:
            raise Overloaded(retry_after=max(expected - self._wait, 1))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._timed, work)
        finally:
            self._waiting -= 1

    def _timed(self, work: Callable[[], R]) -> R:
        start = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds += (time.perf_counter() - start - self._seconds) / 8
