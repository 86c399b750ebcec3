"""Any order of claims, take-overs, settlings, replies and lapses of time, held against a model of a few lines."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule, run_state_machine_as_test
from idempotency_shop import Shop, opened

from corekit import Caller, Corekit
from corekit.data import DatabaseSettings
from corekit.guard import Claim, Idempotency, IdempotencyKey, Replay, Reply
from corekit.guard.idempotency import IdempotencyInProgress, IdempotencyKeyReused, Unsettled
from corekit.testing import FakeClock, act_as

LEASE = 60
KEYS, BODIES = st.sampled_from(["a", "b"]), st.sampled_from([b"1" * 32, b"2" * 32])


@dataclass
class Modelled:
    """What the model knows of a key."""

    body: bytes
    state: str = "running"
    token: int = 1
    until: float = 0
    resource: str | None = None
    reply: Reply | None = None


class Machine(RuleBasedStateMachine):
    """Two keys of one person; each example has a person of its own, on a kit that all share."""

    kit: Corekit
    clock: FakeClock
    runner: asyncio.Runner
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.caller: Caller = act_as(self.kit, f"person {uuid4()}")
        self.store = self.kit.get(Idempotency)
        self.known: dict[str, Modelled] = {}
        self.now = 0.0

    def outcome(self, coroutine: Any) -> Any:
        """Run a verb; return what it returns, or how it ends."""
        try:
            return self.runner.run(coroutine)
        except Replay as replay:
            return replay.reply
        except (IdempotencyInProgress, IdempotencyKeyReused, Unsettled) as problem:
            return type(problem)

    @rule(target=claims, key=KEYS, body=BODIES, commits=st.booleans())
    def claim(self, key: str, body: bytes, commits: bool) -> Any:  # drawn
        async def verb() -> Claim:
            async with self.caller.begin() as ctx:
                claim = await self.store.claim(ctx, IdempotencyKey(key, body))
                if not commits:
                    raise ZeroDivisionError
                return claim

        try:
            got = self.outcome(verb())
        except ZeroDivisionError:
            got = None
        known = self.known.get(key)
        if known is not None and (expected := self.refusal(known, body)) is not None:
            assert got == expected
            return multiple()
        if not commits:
            assert got is None
            return multiple()
        if known is None:
            known = self.known[key] = Modelled(body)
        else:
            known.token += 1
        known.until = self.now + LEASE
        assert (got.token, got.state, got.resource) == (known.token, known.state, known.resource)
        return (key, got)

    def refusal(self, known: Modelled, body: bytes) -> Any:
        """Say what a claim of a known key meets, if it is not free."""
        if known.body != body:
            return IdempotencyKeyReused
        return known.reply or (IdempotencyInProgress if known.until > self.now else None)

    def mine(self, key: str, claim: Claim) -> Modelled | None:
        """Return the key if this claim still holds it."""
        known = self.known.get(key)
        return known if known is not None and known.token == claim.token else None

    @rule(held=claims, settled=st.booleans())
    def attach(self, held: tuple[str, Claim], settled: bool) -> None:  # drawn
        key, claim = held
        resource = f"res_{uuid4()}"

        async def verb() -> None:
            async with self.caller.begin() as ctx:
                await self.store.attach(ctx, claim, resource, settled=settled)

        got, known = self.outcome(verb()), self.mine(key, claim)
        if known is None or known.state != "running" or known.resource is not None:
            assert got is IdempotencyInProgress
        else:
            assert got is None
            known.resource, known.state = resource, "settled" if settled else "running"

    @rule(key=KEYS)
    def settle(self, key: str) -> None:
        known = self.known.get(key)

        async def verb() -> None:
            async with self.kit.caller().system("shop.sell").begin() as ctx:
                await self.store.settle(ctx, (known and known.resource) or "res_nothing")

        assert self.outcome(verb()) is None
        if known is not None and known.resource is not None and known.state == "running":
            known.state = "settled"

    @rule(held=claims, body=st.binary(max_size=4))
    def finish(self, held: tuple[str, Claim], body: bytes) -> None:
        key, claim = held
        reply = Reply(200, (("content-type", "a/b"),), body)
        got, known = self.outcome(self.store.finish(self.caller, claim, reply)), self.known.get(key)
        if known is not None and known.reply is not None:
            assert got == known.reply
        elif known is None or known.token != claim.token:
            assert got is IdempotencyInProgress
        elif known.state == "running":
            assert got is Unsettled
        else:
            assert got is None
            known.state, known.reply = "done", reply

    @rule(held=claims)
    def release(self, held: tuple[str, Claim]) -> None:
        assert self.outcome(self.store.release(self.caller, held[1])) is None
        if (known := self.mine(*held)) is not None:
            known.until = min(known.until, self.now)

    @rule(held=claims)
    def drop(self, held: tuple[str, Claim]) -> None:
        assert self.outcome(self.store.drop(self.caller, held[1])) is None
        if (known := self.mine(*held)) is not None:
            known.until = min(known.until, self.now)
            if known.resource is None:
                del self.known[held[0]]

    @rule(seconds=st.sampled_from([1, 30, 60]))
    def wait(self, seconds: int) -> None:
        self.clock.move(seconds)
        self.now += seconds


def test_the_store_is_as_its_model(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        Machine.runner, Machine.clock = runner, clock
        Machine.kit = runner.run(stack.enter_async_context(opened(Shop(), database, tmp_path, clock)))
        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                Machine,
                settings=settings(
                    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            runner.run(stack.aclose())
