"""A fork server of lives: each is a process with a real kit that pays, or sweeps, and kills itself at a drawn place.

It reads work from its standard input, a line of JSON for each, and answers with how the lives ended. All lives of a run
are born of one process in which a kit was once at work on their database: what that has computed they need not.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

import msgspec
from crash_client import ACCESS, Client  # beside this file
from crash_fate import PATIENCE, SHAPES, Fate, Flaky, FlakyPlugin, Life, Setting, Time, tell_where
from crash_others import break_in as break_in_others
from crash_others import hear, reconcile
from generous import GENEROUS  # in the folder above

from corekit.contracts.payments import OutcomeUnknown, Payments, ProviderSettings
from corekit.data.engines import Database
from corekit.jobs import make_engine
from corekit.kit import Corekit
from corekit.settings import Config
from corekit_payments import PaymentsPlugin, PaymentsSettings, holding
from corekit_payments.holding import Holding


class Work(msgspec.Struct, frozen=True):
    """What is asked of the server: lives beside each other, processes that are to go on, or one as itself (`first`)."""

    setting: Setting
    lives: list[Life] = []
    go_on: list[int] = []
    first: bool = False


class End(msgspec.Struct, frozen=True):
    """What became of a process: its exit code, the negative number of a signal, or of SIGSTOP where it waits."""

    pid: int
    code: int


class Body:
    """The kit of a setting, which is started in every life anew."""

    def __init__(self, setting: Setting) -> None:
        self.fate, self.clock = Fate(setting), Time()
        self.provider = Flaky(self.fate, self.clock)
        lease = {"provider_timeout": setting.lease / 2, "operation_lease": setting.lease} if setting.lease else {}
        self.payments = PaymentsPlugin(
            PaymentsSettings(
                providers={"flaky": ProviderSettings(kind="flaky")}, fraud=GENEROUS, action_ttl=1800, **lease
            )
        )
        config = Config.load(environ={}, overrides={"access": ACCESS})
        plugins = [self.payments, FlakyPlugin(self.provider)]
        folder = Path(setting.folder) / "data"
        self.kit = Corekit(plugins, database=setting.database, data_dir=folder, config=config, clock=self.clock)

    async def live(self, life: Life, *, migrate: bool = False) -> None:
        """Start the kit and work, until there is nothing to do or the end comes."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, tell_where)
        self.fate.begin(life)
        self.clock.begin(life.now, goes=bool(self.fate.setting.lease))
        self.payments._settings = msgspec.structs.replace(self.payments.settings, sweep=life.does == "sweep")
        self.kit.settings = msgspec.structs.replace(self.kit.settings, migrate=migrate)
        self.kit.jobs = msgspec.structs.replace(self.kit.jobs, worker=life.does == "hear")
        self.kit.job_engine = make_engine(self.kit.handlers, self.kit.jobs)  # each process is an owner of its own
        async with self.kit:
            if life.does == "hear":
                await hear(self.kit, self.provider, self.fate)
            elif life.does == "reconcile":
                await reconcile(self.kit, self.fate)
            elif life.does == "pay":
                with contextlib.suppress(OutcomeUnknown):  # who calls in the transaction asks again in another life
                    await Client(self.kit, self.fate).work()
            else:
                driver: Any = self.kit.get(Payments)._driver  # type: ignore[attr-defined]
                while driver.running or await driver._holding.due(1):
                    await asyncio.sleep(0.02)

    def first(self, life: Life) -> None:
        """Live in this process, as everything that lives do, so that they find all of it computed."""
        asyncio.run(self.live(life, migrate=True))
        if self.fate.setting.shapes == SHAPES:
            for does in ("hear", "reconcile"):
                asyncio.run(self.live(msgspec.structs.replace(life, does=does)))
        gc.collect()
        gc.freeze()


def break_in(fate: Fate) -> None:
    """Put the points of P3 where they are, and take away what the control names."""
    end, apply = Holding.end, holding.apply_to

    async def applied(*given: Any, **named: Any) -> Any:
        done = await apply(*given, **named)
        fate.at("precommit")
        return done

    async def ended(*given: Any) -> None:
        fate.at("replied")
        await end(*given)
        fate.at("committed")

    holding.apply_to = applied  # type: ignore[assignment]  # where P3 calls it
    Holding.end = ended  # type: ignore[method-assign]
    break_in_others(fate)
    if fate.setting.control == "no_lookup":
        holding.step_of = lambda *_: "send"  # type: ignore[assignment]


def keep_engines() -> None:
    """Let a kit that starts again have its engines again: they know what their statements compile to."""
    make, made = Database._make_engine, dict[Any, Any]()

    def remembered(self: Database, rights: Any, *, readonly: bool) -> Any:
        key = (self, rights, readonly)
        if key not in made:
            for old in [one for one in made if one[0] is not self]:
                del made[old]
            made[key] = make(self, rights, readonly=readonly)
        return made[key]

    Database._make_engine = remembered  # type: ignore[method-assign]


def born(body: Body, life: Life) -> int:
    """Fork a life; return its process."""
    if (pid := os.fork()) != 0:
        return pid
    signal.alarm(PATIENCE)
    code = 1
    try:
        if life.mortal or life.stops:
            break_in(body.fate)
        asyncio.run(body.live(life))
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> End:
    """Wait until a process ends, or stops itself."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    return End(pid, -signal.SIGSTOP if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status))


def serve() -> None:
    """Fork lives that live at the same time, and say how they ended."""
    keep_engines()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is said goes to the log
    body: Body | None = None
    asleep: set[int] = set()
    for line in sys.stdin:
        work = msgspec.json.decode(line, type=Work)
        if body is None or body.fate.setting != work.setting:
            body = Body(work.setting)
        if work.first:
            body.first(work.lives[0])
            pids = []
        else:
            pids = [*work.go_on, *(born(body, life) for life in work.lives)]
        for pid in work.go_on:
            os.kill(pid, signal.SIGCONT)
        ends = [ended(pid) for pid in pids]
        asleep = (asleep - {one.pid for one in ends}) | {one.pid for one in ends if one.code == -signal.SIGSTOP}
        answers.write(f"{msgspec.json.encode(ends).decode()}\n")
        answers.flush()
    for pid in asleep:  # a test has failed before it woke them
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
