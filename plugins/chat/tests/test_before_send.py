"""What others do to a message before it is sent, and what a repeat gets whatever would be refused now."""

from typing import Any

import msgspec
import pytest

from corekit.context import Context
from corekit.contracts.messaging import Draft, before_send
from corekit.errors import Problem, TooMany
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit_chat.errors import IdempotencyConflict, MessageTooLarge, NotMember
from corekit_chat.models import MemberRow


class Rude(Problem):
    """Refused by the test's plugin."""

    slug, status, code, title = "rude", 422, 1950, "Mind your words"


class Polite(Plugin[Settings]):
    """Masks a word, refuses another, and reads before it does."""

    name = "polite"

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @implements(before_send)
    async def mask(self, draft: Draft, ctx: Context) -> Draft | None:
        self.asked += 1
        assert ctx.readonly
        assert await ctx.session.get(MemberRow, (draft.conversation, draft.sender)) is not None
        if "rude" in draft.body:
            raise Rude
        return msgspec.structs.replace(draft, body=draft.body.replace("darn", "d*rn")) if "darn" in draft.body else None


async def test_every_refusal_looks_the_key_up_first(make_world: Any, database_url: str) -> None:
    conv, first = "", None
    async with make_world() as world:
        conv = (await world.create("alice", members=["bob"])).id
        first = await world.send("bob", conv, "key", "a rude message")
    polite = Polite()
    async with make_world(polite, max_length=5, limits=True, send_rate=(1, 3600.0, 3)) as world:
        again = await world.send("bob", conv, "key", "a rude message")  # too large by now, and rude
        assert again == msgspec.structs.replace(first, dup=True)
        with pytest.raises(IdempotencyConflict):
            await world.send("bob", conv, "key", "another message")
        with pytest.raises(MessageTooLarge):
            await world.send("bob", conv, "new", "another message")
        assert (await world.send("bob", conv, "key", "a rude message")).dup  # over the rate by now
        with pytest.raises(TooMany):
            await world.send("bob", conv, "new", "short")
        assert polite.asked == 0


async def test_before_send_changes_and_refuses(make_world: Any) -> None:
    polite = Polite()
    async with make_world(polite) as world:
        conv = (await world.create("alice")).id
        sent = await world.send("alice", conv, "one", "darn it")
        with pytest.raises(Rude):
            await world.send("alice", conv, "two", "a rude word")
        assert world.gateway.on(f"conv:{conv}")[0]["message"]["body"] == "d*rn it"
        assert (await world.get("alice", conv)).last_seq == 1
        # The fingerprint is of what the client sent, not of what the hook made of it.
        assert await world.send("alice", conv, "one", "darn it") == msgspec.structs.replace(sent, dup=True)
        with pytest.raises(IdempotencyConflict):
            await world.send("alice", conv, "one", "d*rn it")
        asked = polite.asked
        with pytest.raises(NotMember):
            await world.send("bob", conv, "three", "a rude word")
        assert polite.asked == asked  # outsiders do not reach the hooks


async def test_what_a_hook_makes_of_it_is_checked_too(make_world: Any) -> None:
    class Loud(Plugin[Settings]):
        name = "loud"

        @implements(before_send)
        async def shout(self, draft: Draft) -> Draft | None:
            return msgspec.structs.replace(draft, body=draft.body * 100 + "\x00")

    async with make_world(Loud(), max_length=300) as world:
        conv = (await world.create("alice")).id
        await world.send("alice", conv, "one", "abc")
        assert world.gateway.on(f"conv:{conv}")[0]["message"]["body"] == "abc" * 100
        with pytest.raises(MessageTooLarge):
            await world.send("alice", conv, "two", "abcd")
