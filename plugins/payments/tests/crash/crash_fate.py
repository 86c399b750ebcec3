"""What a life meets: where it ends, and a provider at the end of a bad line."""

import hashlib
import os
import random
import signal
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from corekit.contracts.payments import (
    Evidence,
    OutcomeUnknown,
    ProviderCall,
    ProviderSettings,
    payment_providers,
)
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit.values import typeid, uuid7
from corekit_payments.sandbox import CAPABILITIES, Journal, Sandbox
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.counter import Near

REACH = 8  # points that a life passes at most


class Setting(msgspec.Struct, frozen=True):
    """What all lives of a run share; `control` names what is taken away."""

    database: DatabaseSettings
    folder: str
    control: str = ""
    keys: bool = True


class Life(msgspec.Struct, frozen=True):
    """One process; it dies at one of its first points where it is `mortal`, and stops at the point `stops`."""

    seed: int
    now: datetime
    sweeps: bool = False
    mortal: bool = True
    orders: int = 0
    stops: str = ""


class Fate:
    """Counts the points that a life passes, and ends it at its own."""

    def __init__(self, setting: Setting, life: Life) -> None:
        self.setting, self.life = setting, life
        self.random = random.Random(life.seed)  # noqa: S311  # no secret
        self._left = self.random.randint(1, REACH)

    def at(self, point: str) -> None:
        """Pass a point, or do not."""
        if point == self.life.stops:
            os.kill(os.getpid(), signal.SIGSTOP)
        self._left -= 1
        if self.life.mortal and self._left <= 0:
            self.note("deaths", point)
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, file: str, text: str) -> None:
        """Keep a word where no process's end can take it."""
        with (Path(self.setting.folder) / file).open("a") as opened:
            opened.write(f"{text}\n")


class Flaky(Sandbox):
    """The sandbox behind a bad line: loses calls and answers, and keeps a 500 for some operations for ever."""

    def __init__(self, fate: Fate, clock: FakeClock) -> None:
        can = msgspec.structs.replace(CAPABILITIES, keys=fate.setting.keys)
        journal = Journal(Path(fate.setting.folder) / "journal.db")
        super().__init__("flaky", journal, clock, can)
        self._counter = Near(Bank(journal, clock, keys=fate.setting.keys and fate.setting.control != "no_key"))
        self._fate = fate

    async def _take(self, call: ProviderCall) -> Evidence:
        fate = self._fate
        fate.at("sending")
        lost = fate.random.random() if fate.life.mortal else 1
        if lost < 0.1:
            raise OutcomeUnknown("lost on its way")
        if fate.setting.control in {"memory_key", "no_row"}:
            call = msgspec.structs.replace(call, key=typeid("pop", uuid7()))
        done = await super()._take(call)
        fate.at("sent")
        if lost < 0.2 or hashlib.sha256(call.reference.encode()).digest()[0] < 25:
            raise OutcomeUnknown("its answer is lost, or is a 500 that it keeps")
        return done


class FlakyPlugin(Plugin[Settings]):
    """Brings it."""

    name = "flaky"

    def __init__(self, provider: Flaky) -> None:
        super().__init__()
        self.provider = provider

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> Sequence[Flaky] | None:
        return [self.provider] if settings.kind == "flaky" else None
