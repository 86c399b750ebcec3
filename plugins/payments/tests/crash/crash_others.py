"""Who else has a hand in payments: payers and a bank who act at the provider, who brings its notices, who compares."""

import asyncio
from pathlib import Path
from typing import Any

from crash_fate import APPROVED, Fate, Flaky  # beside this file
from sqlalchemy import func, select

from corekit.kit import Corekit
from corekit.settings import Secret
from corekit_payments import disputes
from corekit_payments.inbox import Inbox, WebhookInboxRow, processing
from corekit_payments.recon import STREAMS, Reconciliation, asking, expiring, listing
from corekit_payments.sandbox.notices import Signed, disturbed, signed

_PATIENCE = 500  # looks at the inbox
_PAGE = 5  # rows after which a run of reconciliation keeps how far it has come


async def hear(kit: Corekit, provider: Flaky, fate: Fate) -> None:
    """Act at the provider, bring everything that it has to tell, twice and in any order, and work on it."""
    approve(provider)
    told = Path(fate.setting.folder) / "told"
    after = int(told.read_text() or 0) if told.exists() else 0
    rows = provider.journal.notices(after)
    notices = disturbed(written(provider, rows), 2, fate.life.seed)
    judge(provider)  # of which the next one brings word
    for notice in notices:
        fate.at("told")
        await kit.get(Inbox).take(kit.caller(), "flaky", *notice)
        fate.at("heard")
    if rows:
        told.write_text(str(rows[-1]["n"]))
    received = select(func.count()).select_from(WebhookInboxRow).where(WebhookInboxRow.state == "received")
    for _ in range(_PATIENCE):  # a job whose end was lost runs again when its lease is over: in another life
        async with kit.caller().system("payments").begin(readonly=True) as ctx:
            if not await ctx.session.scalar(received):
                return
        await asyncio.sleep(0.02)


def approve(provider: Flaky) -> None:
    """Be every payer who approves."""
    with provider.journal.transaction() as db:
        waiting = [*db.execute("SELECT ref, amount FROM object WHERE state = 'requires_action'")]
    for one in waiting:
        if one["amount"] == 1000 + APPROVED:
            provider.bank.decide(one["ref"], approve=True)


def judge(provider: Flaky) -> None:
    """Be the bank that decides every dispute."""
    with provider.journal.transaction() as db:
        open_ = [*db.execute("SELECT n, ref FROM object WHERE kind = 'dispute' AND state = 'pending'")]
    for one in open_:
        provider.bank.judge(one["ref"], "won" if one["n"] % 2 else "lost")


def written(provider: Flaky, rows: list[Any]) -> list[Signed]:
    """Sign notices, and one for every dispute as it is now: what it was told before, or a new one."""
    with provider.journal.transaction() as db:
        cases = [*db.execute("SELECT * FROM object WHERE kind = 'dispute'")]
    told = [{**one, "n": 10 * one["n"] + (one["state"] != "pending")} for one in cases]
    return signed([*rows, *told], Secret(provider.journal.secret()), provider._clock.now(), live=False)


async def reconcile(kit: Corekit, fate: Fate) -> None:
    """Run both streams, going on where another has died, and end what is held past its time."""
    streams: Any = kit.get(Reconciliation)
    await streams.expire_holds()
    for stream in sorted(STREAMS, key=lambda _: fate.random.random()):
        await streams.all(stream)


def break_in(fate: Fate) -> None:
    """Put points where notices and reports are worked on."""
    for module, point in ((processing, "noticed"), (disputes, "noticed"), (expiring, "expired")):
        _then(module, "apply", fate, point)
    _then(listing, "compare", fate, "compared")
    _then(asking.Task, "advance", fate, "advanced")
    asking.PAGE = listing.PAGE = _PAGE


def _then(owner: Any, name: str, fate: Fate, point: str) -> None:
    """Pass a point after each call of a function, before its transaction ends where it has one around it."""
    done = getattr(owner, name)

    async def do(*given: Any, **named: Any) -> Any:
        result = await done(*given, **named)
        fate.at(point)
        return result

    setattr(owner, name, do)
