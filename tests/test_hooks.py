"""Hooks: three verbs, their order, and what is refused before anything starts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from corekit import Context, Corekit, Plugin, Settings, hookspec, implements
from corekit.errors import PluginError
from corekit.hooks import Hooks
from corekit.testing import make_kit


@hookspec
async def greet(name: str, ctx: Context | None) -> str | None:
    """Say something to somebody."""


@hookspec
async def other(name: str) -> str | None:
    """Do something else."""


class Says:
    """Answers a fixed text, after the name it was asked with."""

    def __init__(self, text: str | None, heard: list[str]) -> None:
        self.text = text
        self.heard = heard

    @implements(greet)
    async def greet(self, name: str, ctx: Context | None) -> str | None:
        self.heard.append(f"{self.text}:{name}")
        return None if self.text is None else f"{name} {self.text}"


class First(Says):
    """Wants to be asked before the others."""

    @implements(greet, tryfirst=True)
    async def greet(self, name: str, ctx: Context | None) -> str | None:
        return await super().greet(name, ctx)


class Last(Says):
    """Wants to be asked after the others."""

    @implements(greet, trylast=True)
    async def greet(self, name: str, ctx: Context | None) -> str | None:
        return await super().greet(name, ctx)


class Few:
    """Takes one of two arguments, and not the first."""

    @implements(greet)
    async def greet(self, ctx: Context | None) -> str | None:
        return f"ctx={ctx}"


def hooks(*plugins: object) -> Hooks:
    made = Hooks()
    for number, plugin in enumerate(plugins):
        made.register(plugin, f"plugin{number}")
    return made


async def test_first_returns_the_first_answer_and_asks_no_further() -> None:
    heard: list[str] = []
    asked = hooks(Last("late", heard), First(None, heard), Says("hello", heard))
    assert await asked.first(greet, "ann", None) == "ann hello"
    assert heard == ["None:ann", "hello:ann"]


async def test_first_of_nobody_is_none() -> None:
    assert await Hooks().first(greet, "ann", None) is None
    assert await hooks(Says(None, [])).first(greet, "ann", None) is None


async def test_each_returns_all_answers_that_are_not_none() -> None:
    asked = hooks(Last("last", []), Says(None, []), First("first", []))
    assert await asked.each(greet, "ann", None) == ["ann first", "ann last"]


async def test_pipe_hands_the_value_on_and_none_leaves_it() -> None:
    asked = hooks(Last("c", []), First("a", []), Says(None, []), Says("b", []))
    assert await asked.pipe(greet, "x", None) == "x a b c"
    assert await Hooks().pipe(greet, "x", None) == "x"


async def test_among_equals_the_last_registered_comes_first() -> None:
    assert await hooks(Says("a", []), Says("b", [])).each(greet, "x", None) == ["x b", "x a"]


async def test_an_implementation_may_take_fewer_arguments() -> None:
    asked = hooks(Few())
    assert await asked.first(greet, "ann", None) == "ctx=None"
    assert await asked.first(greet, name="ann", ctx=None) == "ctx=None"


async def test_an_exception_ends_the_call() -> None:
    class Refuses:
        @implements(greet)
        async def greet(self, name: str) -> str | None:
            raise ValueError(name)

    heard: list[str] = []
    with pytest.raises(ValueError, match="ann"):
        await hooks(Says("never", heard), Refuses()).each(greet, "ann", None)
    assert heard == []


def test_implementors_are_counted() -> None:
    assert hooks(Says("a", []), Few()).implementors(greet) == 2
    assert hooks(Says("a", [])).implementors(other) == 0


class Sync(Plugin[Settings]):
    """Forgot `async`."""

    name = "sync"

    @implements(greet)
    def greet(self, name: str) -> str | None:
        return name


class Wrapper(Plugin[Settings]):
    """Tries to wrap around the others."""

    name = "wrapper"

    @implements(greet)
    async def greet(self, name: str) -> AsyncIterator[str | None]:
        yield name


class Typo(Plugin[Settings]):
    """Names an argument that the hook lacks."""

    name = "typo"

    @implements(greet)
    async def greet(self, nmae: str) -> str | None:
        return nmae


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (Sync, "sync.greet implements greet and must be an async method"),
        (Wrapper, "wrapper.greet implements greet and must be an async method"),
        (Typo, "nmae"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_kit_is_made(
    plugin: type[Plugin[Settings]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        Corekit([plugin()], data_dir=tmp_path)
    assert plugin.name in str(caught.value)


def test_a_hookspec_must_be_async() -> None:
    with pytest.raises(PluginError, match="must be an async function"):

        @hookspec
        def late() -> None: ...


def test_only_a_hookspec_can_be_implemented() -> None:
    async def plain() -> None: ...

    with pytest.raises(PluginError, match="not a hookspec"):
        implements(plain)


def test_one_method_implements_one_hook() -> None:
    with pytest.raises(PluginError, match="two hooks"):

        @implements(greet)
        @implements(other)
        async def both(name: str) -> str | None: ...


class Asking(Plugin[Settings]):
    """Answers with its own word."""

    name = "asking"

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word

    @implements(greet)
    async def greet(self, name: str) -> str | None:
        return f"{name} {self.word}"


async def test_two_kits_with_different_plugins_live_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with (
        make_kit([Asking("here")], tmp_path=tmp_path / "a") as one,
        make_kit([Asking("there")], tmp_path=tmp_path / "b") as two,
        make_kit([]) as three,
    ):
        assert await one.hooks.first(greet, "ann", None) == "ann here"
        assert await two.hooks.first(greet, "ann", None) == "ann there"
        assert await three.hooks.first(greet, "ann", None) is None
