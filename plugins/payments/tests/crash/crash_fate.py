"""What a life meets: where it ends, and a provider at the end of a bad line."""

import asyncio
import hashlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
from sandbox_process import SECRET  # in the folder above

from corekit.contracts.payments import (
    Evidence,
    Headers,
    OutcomeUnknown,
    ProviderCall,
    ProviderEvent,
    ProviderSettings,
    payment_providers,
)
from corekit.contracts.payments.providers import EvidenceSource
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit.values import typeid, uuid7
from corekit_payments.calling import Line
from corekit_payments.sandbox import CAPABILITIES, Journal, Sandbox, journal_of
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.counter import Near

REACH = 8  # points that a life passes at most
FAR = 24  # one that hears: what it takes it is also to work on
DISPUTED, APPROVED, SLOW = 3, 5, 6  # what an order may be beside taken, taken in part, and released
EXPIRING = (4, 7)
SHAPES = 8
HOLD = timedelta(minutes=20)  # after which what is held of an order of a shape in EXPIRING is over
Does = Literal["pay", "sweep", "hear", "reconcile"]


class Setting(msgspec.Struct, frozen=True):
    """What all lives of a run share: `control` names what is taken away, `shapes` says how many kinds of orders are.

    With `lease`, in seconds, their clock goes on by itself and an operation's lease is as short as that. With `sandbox`
    the provider is the process that answers there.
    """

    database: DatabaseSettings
    folder: str
    control: str = ""
    keys: bool = True
    shapes: int = 3
    lease: float = 0
    sandbox: str = ""


class Life(msgspec.Struct, frozen=True):
    """One process; it dies at one of its first points where it is `mortal`, and stops at the point `stops`.

    `stops` is a point's name, or `any`: then it stops where it would have died. One that `drives` not leaves to others
    what it has asked for; one that `leaves` does nothing more after it has stopped.
    """

    seed: int
    now: datetime
    does: Does = "pay"
    mortal: bool = True
    orders: int = 0
    drives: bool = True
    leaves: bool = False
    stops: str = ""


PATIENCE = 180  # seconds after which a life that hangs ends with 14, and says where


class Fate:
    """Counts the points that a life passes, and ends it at its own."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.begin(Life(0, datetime.max.replace(tzinfo=UTC), mortal=False))

    def begin(self, life: Life) -> None:
        """Begin a life."""
        self.life, self._stops = life, life.stops
        self.random = random.Random(life.seed)  # noqa: S311  # no secret
        self._left = self.random.randint(1, FAR if life.does == "hear" else REACH)

    def at(self, point: str) -> None:
        """Pass a point, or do not."""
        self._left -= 1
        if self._stops and (point == self._stops or (self._stops == "any" and self._left == 0)):
            self._stops = ""  # it stops once
            self.note("stops", point)
            signal.alarm(0)  # who sleeps does not hang
            os.kill(os.getpid(), signal.SIGSTOP)
            signal.alarm(PATIENCE)
        if self.life.mortal and self._left <= 0:
            self.note("deaths", point)
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def gone(self) -> bool:
        """Whether it is time to leave."""
        return self.life.leaves and not self._stops

    def note(self, file: str, text: str) -> None:
        """Keep a word where no process's end can take it."""
        with (Path(self.setting.folder) / file).open("a") as opened:
            opened.write(f"{text}\n")


class Time(FakeClock):
    """Stands still at a life's time, or goes on from there by itself."""

    _since: float | None = None

    def begin(self, now: datetime, *, goes: bool) -> None:
        self._now, self._since = now, time.monotonic() if goes else None

    def now(self) -> datetime:
        return self._now if self._since is None else self._now + timedelta(seconds=time.monotonic() - self._since)


class Quick(Journal):
    """One that waits for no disk: what a process has written outlives it all the same."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute("PRAGMA synchronous = OFF")
        return connection


class Flaky(Sandbox):
    """The sandbox behind a bad line: loses calls and answers, and keeps a 500 for some operations for ever."""

    def __init__(self, fate: Fate, clock: FakeClock) -> None:
        setting = fate.setting
        can = msgspec.structs.replace(CAPABILITIES, keys=setting.keys)
        self.journal = Quick(journal_of(Path(setting.folder), "flaky"))
        super().__init__(
            "flaky", Line(setting.sandbox, ("flaky", SECRET)) if setting.sandbox else self.journal, clock, can
        )
        self.bank = Bank(self.journal, clock, keys=setting.keys and setting.control != "no_key")
        if not setting.sandbox:
            self._counter = Near(self.bank)
        self._fate = fate

    async def _take(self, call: ProviderCall) -> Evidence:
        fate = self._fate
        fate.at("sending")
        lost = fate.random.random() if fate.life.mortal or fate.life.stops == "any" else 1
        if lost < 0.1:
            raise OutcomeUnknown("lost on its way")
        if fate.setting.control in {"memory_key", "no_row"}:
            call = msgspec.structs.replace(call, key=typeid("pop", uuid7()))
        done = await super()._take(call)
        fate.at("sent")
        if lost < 0.2 or hashlib.sha256(call.reference.encode()).digest()[0] < 25:
            raise OutcomeUnknown("its answer is lost, or is a 500 that it keeps")
        return done

    def _shown(self, row: dict[str, Any], source: EvidenceSource) -> Evidence:
        """Say of some holds when they are over."""
        shown = super()._shown(row, source)
        if (row["kind"], row["state"]) != ("authorize", "succeeded") or row["amount"] - 1000 not in EXPIRING:
            return shown
        return msgspec.structs.replace(shown, expires_at=shown.occurred_at + HOLD)

    def verify(self, headers: Headers, raw: bytes) -> Sequence[ProviderEvent]:
        """Tell of disputes what they are, as a provider does that can be asked for none."""
        (event,) = super().verify(headers, raw)
        if not event.type.startswith("dispute."):
            return [event]
        row = self.bank.fetch(event.provider_ref or "")
        told = self._shown(row, "event")
        return [msgspec.structs.replace(event, provider_ref=row["parent"], reference=None, evidence=told)]


class FlakyPlugin(Plugin[Settings]):
    """Brings it."""

    name = "flaky"

    def __init__(self, provider: Flaky) -> None:
        super().__init__()
        self.provider = provider

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> Sequence[Flaky] | None:
        return [self.provider] if settings.kind == "flaky" else None


def tell_where() -> None:
    """Say in the log where everything hangs, and end."""
    for task in asyncio.all_tasks():
        task.print_stack()
    sys.stderr.flush()
    os._exit(signal.SIGALRM)
