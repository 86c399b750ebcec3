"""Fitting plugins together: everything that does not fit is refused when the kit is made, and named."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from corekit import Context, Corekit, Event, Kit, Plugin, Settings, enqueue, job, on
from corekit.assembly import discover, order
from corekit.errors import ConfigError, PluginError
from corekit.settings import Config
from corekit.testing import make_kit


class Bread(Protocol):
    """A capability."""


class Butter(Protocol):
    """Another."""


class Eaten(Event, frozen=True, tag="test.eaten"):
    """Something happened."""


def plugin(
    called: str, *, provides: Sequence[Any] = (), requires: Sequence[Any] = (), wants: Sequence[Any] = ()
) -> Plugin[Settings]:
    """Make a plugin that provides what it says."""

    @asynccontextmanager
    async def lifespan(self: Plugin[Settings], kit: Kit) -> AsyncGenerator[None]:
        for contract in self.provides:
            kit.provide(contract, object())
        yield

    body = {"name": called, "provides": provides, "requires": requires, "wants": wants, "lifespan": lifespan}
    made: Plugin[Settings] = type(called.title(), (Plugin,), body)()
    return made


def names(*plugins: Plugin[Settings]) -> list[str]:
    return [one.name for one in order(plugins, ())]


def test_each_comes_after_what_it_requires_and_wants() -> None:
    toast = plugin("toast", requires=[Bread], wants=[Butter])
    assert names(toast, plugin("dairy", provides=[Butter]), plugin("baker", provides=[Bread])) in (
        ["dairy", "baker", "toast"],
        ["baker", "dairy", "toast"],
    )


def test_the_order_is_the_same_at_every_start() -> None:
    """Hash seeds differ between processes; the order of hooks and starts must not."""
    script = (
        "from corekit.assembly import order\nfrom corekit.plugin import Plugin\n"
        "def p(n, **k): return type(n, (Plugin,), {'name': n, **k})()\n"
        "cs = [type(f'C{i}', (), {}) for i in range(8)]\n"
        "last = p('last', requires=cs)\n"
        "print([x.name for x in order([last, *(p(f'p{i}', provides=[c]) for i, c in enumerate(cs))], ())])"
    )
    command = [sys.executable, "-c", script]
    seen = {
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout for seed in "1234"
    }
    assert len(seen) == 1


def test_what_is_wanted_may_be_missing() -> None:
    assert names(plugin("toast", wants=[Butter])) == ["toast"]


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ([plugin("toast", requires=[Bread])], "plugin toast requires Bread, which no enabled plugin provides"),
        ([plugin("a", provides=[Bread]), plugin("b", provides=[Bread])], "Bread is provided twice: by a and by b"),
        ([plugin("a"), plugin("a")], "two plugins are called 'a'"),
        ([plugin("no-good")], "No-Good needs a `name`"),
        (
            [plugin("a", provides=[Bread], requires=[Butter]), plugin("b", provides=[Butter], wants=[Bread])],
            "plugins require each other in a circle: ",
        ),
    ],
)
def test_plugins_that_do_not_fit(plugins: list[Plugin[Settings]], message: str) -> None:
    with pytest.raises(PluginError) as caught:
        names(*plugins)
    assert message in str(caught.value)


def test_a_circle_names_the_plugins() -> None:
    with pytest.raises(PluginError, match=r"a → b → a|b → a → b"):
        names(plugin("a", provides=[Bread], requires=[Butter]), plugin("b", provides=[Butter], requires=[Bread]))


def test_a_plugin_needs_a_name() -> None:
    class Nameless(Plugin[Settings]):
        """Forgot it."""

    with pytest.raises(PluginError, match="Nameless needs a `name`"):
        names(Nameless())


def test_a_plugin_cannot_take_the_name_of_a_table_of_the_core(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be called 'database'"):
        Corekit([plugin("database")], data_dir=tmp_path)


def test_enabled_but_not_installed() -> None:
    with pytest.raises(PluginError, match=r"plugin 'nowhere' is enabled but not installed; installed: .*chat"):
        discover(["chat", "nowhere"])


def test_production_requires_the_list_of_plugins() -> None:
    with pytest.raises(ConfigError, match=r"\[kit\] plugins is required in prod"):
        Corekit.load(Config.load(env="prod", environ={}))


def test_settings_for_nobody() -> None:
    config = Config.load(environ={"COREKIT_CAHT__MAX_LENGTH": "1"}, overrides={"kit": {"plugins": []}})
    with pytest.raises(ConfigError, match=r"settings for nobody: \[caht\] \(\$COREKIT_CAHT__MAX_LENGTH\)"):
        Corekit.load(config)


async def test_declared_but_not_provided(tmp_path: Path) -> None:
    class Forgetful(Plugin[Settings]):
        name = "forgetful"
        provides = (Bread,)

    with pytest.raises(PluginError, match="plugin forgetful declares Bread but did not provide it"):
        async with make_kit([Forgetful()], tmp_path=tmp_path):
            pass


async def test_services_are_found_by_their_contract(tmp_path: Path) -> None:
    async with make_kit([plugin("baker", provides=[Bread])], tmp_path=tmp_path) as kit:
        assert kit.get(Bread) is kit.find(Bread)
        assert kit.find(Butter) is None
        with pytest.raises(PluginError, match="nothing provides Butter"):
            kit.get(Butter)
        with pytest.raises(PluginError, match="Bread is provided already"):
            kit.provide(Bread, object())


class Jobs(Plugin[Settings]):
    """Has a job under a purpose that nobody declared."""

    name = "jobs_of_nobody"

    @job("nobody.work", purpose="stranger.errand")
    async def work(self, ctx: Context, n: int) -> None: ...


class Deaf(Plugin[Settings]):
    """Listens without `async`."""

    name = "deaf"

    @on(Eaten)  # type: ignore[arg-type]  # that is what is tested
    def hear(self, ctx: Context, event: Eaten) -> None: ...


class Twice(Plugin[Settings]):
    """Uses a tag twice."""

    name = "twice"

    @job("twice.work")
    async def one(self, ctx: Context, n: int) -> None: ...

    @job("twice.work")
    async def two(self, ctx: Context, n: int) -> None: ...


class Foreign(Plugin[Settings]):
    """Declares a purpose in another plugin's name."""

    name = "chat"
    purposes = {"chatter.read": "Reads."}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Jobs, "purpose 'stranger.errand' is not declared by any plugin"),
        (Deaf, "deaf.hear must be an async method"),
        (Twice, "job tag 'twice.work' is used by twice.one and twice.two"),
        (Foreign, "purpose 'chatter.read' must begin with 'chat.'"),
    ],
)
def test_marks_that_do_not_fit(bad: type[Plugin[Settings]], message: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=message):
        Corekit([bad()], data_dir=tmp_path)


def test_an_event_needs_a_tag() -> None:
    class Untagged(Event, frozen=True):
        """Has none."""

    with pytest.raises(PluginError, match="event Untagged needs a tag"):
        on(Untagged)


def test_a_method_listens_to_one_event() -> None:
    with pytest.raises(PluginError, match="listens to two events"):

        @on(Eaten)
        @on(Eaten)
        async def hear(self: Plugin[Settings], ctx: Context, event: Eaten) -> None: ...


async def test_only_a_job_can_be_enqueued(tmp_path: Path) -> None:
    async def plain(payload: int) -> None: ...

    async with make_kit(tmp_path=tmp_path) as kit, kit.caller().system("corekit.jobs").begin() as ctx:
        with pytest.raises(PluginError, match="is not a job"):
            await enqueue(ctx, plain, 1)


def test_a_subclass_elsewhere_keeps_the_tables_of_its_base(tmp_path: Path) -> None:
    (chat,) = discover(["chat"])

    class Mine(type(chat)):  # type: ignore[misc]  # a class that is known at run time
        """Changes something."""

    assert Mine().migrations == chat.migrations is not None
