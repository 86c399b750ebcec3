"""The rules of the house, held by tests."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corekit import Corekit, Plugin
from corekit.assembly import discover
from corekit.built_in import PURPOSES
from corekit.data import Base
from corekit.errors import PREFIX, Problem
from corekit.hooks import _SPEC

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "plugins").glob("*/src/**/*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "plugins").glob("*/tests/**/*.py"))
OWN_TESTS = [path for path in TESTS if path.is_relative_to(ROOT / "tests")]
DOCS = ROOT / "docs"
MAX_FILE, MAX_FUNCTION = 300, 40
MAY_COMMIT = {
    "src/corekit/context.py": "`begin` commits, and nobody else",
    "src/corekit/data/engines.py": "the commit itself",
    "src/corekit/data/migrating.py": "a migration is a transaction of its own",
    "src/corekit/data/one_hop.py": "the driver below the commit itself",
    "src/corekit/data/schema.py": "Alembic leaves a read open",
}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def everything() -> list[Plugin[Any]]:
    """Import every module of the core and of all installed plugins; return the plugins."""
    plugins = discover(None)
    packages = [
        "corekit.contracts",
        "corekit.guard",
        *(type(plugin).__module__.partition(".")[0] for plugin in plugins),
    ]
    for package in packages:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)
    return plugins


def below(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from below(one)


def ours(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0].startswith("corekit")


def test_files_are_short() -> None:
    lines = {name(path): len(path.read_text("utf-8").splitlines()) for path in (*SOURCES, *OWN_TESTS)}
    assert {path: count for path, count in lines.items() if count >= MAX_FILE} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name(path)}:{node.lineno} {node.name}": length
        for path in (*SOURCES, *OWN_TESTS)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) >= MAX_FUNCTION
        and "migrations" not in path.parts
    }
    assert long == {}


def test_annotations_are_real_and_imports_are_absolute() -> None:
    """Litestar, msgspec and `get_type_hints` must see real types."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                hidden = {alias.name for alias in node.names} & {"annotations", "TYPE_CHECKING"}
                found += [f"{name(path)}:{node.lineno}"] if hidden or node.level else []
    assert found == []


def test_nobody_calls_commit() -> None:
    calls = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if name(path) not in MAY_COMMIT
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"commit", "rollback"}
    ]
    assert calls == []


def hookspecs() -> list[Any]:
    everything()
    modules = [importlib.import_module(module.name) for module in contracts()]
    found = [found for module in modules for found in vars(module).values() if hasattr(found, _SPEC)]
    return list(dict.fromkeys(found))  # a contract that is a package shows what its modules have


def contracts() -> list[pkgutil.ModuleInfo]:
    package = importlib.import_module("corekit.contracts")
    return list(pkgutil.walk_packages(package.__path__, "corekit.contracts."))


def signature(function: Any) -> str:
    """Write a signature as the documentation does: `async def x(a: A, b: B) -> C | None`."""
    source = inspect.getsource(function)
    (head,) = re.findall(r"^async def .*?(?=:\n)", source, re.MULTILINE | re.DOTALL)
    return " ".join(str(head).split())


def test_every_hook_is_documented_with_its_signature() -> None:
    written = " ".join((DOCS / "reference" / "hooks.md").read_text("utf-8").split())
    found = hookspecs()
    assert found
    assert [signature(spec) for spec in found if signature(spec) not in written] == []
    assert [spec.__name__ for spec in found if f"## `{spec.__name__}`" not in written] == []
    homes = {spec.__name__: spec.__module__.removesuffix(".hooks") for spec in found}
    assert [name for name, home in homes.items() if f"From `{home}`" not in written] == []


def test_every_hook_is_implemented_in_a_plugin_or_a_test() -> None:
    texts = [path.read_text("utf-8") for path in (*TESTS, *SOURCES)]
    missing = [
        spec.__name__ for spec in hookspecs() if not any(f"@implements({spec.__name__}" in text for text in texts)
    ]
    assert missing == []


def problems() -> list[type[Problem]]:
    everything()
    return [Problem, *(found for found in below(Problem) if ours(found))]


def test_every_problem_has_a_page() -> None:
    """A page of its own, or a row in the page of its family; it says what to do."""
    for slug in sorted({problem.slug for problem in problems()} | {"http-400", "http-405"}):
        own, family = DOCS / "problems" / f"{slug}.md", DOCS / "problems" / f"{slug.partition('-')[0]}.md"
        page = own if own.exists() else family
        assert page.exists(), f"write docs/problems/{slug}.md: what it means, an example, what to do"
        text = page.read_text("utf-8")
        assert f"`{slug}`" in text or f"# {slug}\n" in text, f"{page.name} does not name {slug}"
        assert "## What to do" in text, page.name


def test_a_page_tells_the_status_and_code_of_its_problem() -> None:
    for problem in problems():
        page = DOCS / "problems" / f"{problem.slug}.md"
        if page.exists() and problem.slug != "auth":
            (facts,) = [line for line in page.read_text("utf-8").splitlines() if line.startswith(f"`{PREFIX}")]
            assert f"HTTP {problem.status}" in facts, problem.slug
            assert "code" not in facts or re.search(rf"\bcode\b.*\b{problem.code}\b", facts), problem.slug
            assert ("· temporary" in facts) == problem.temporary, problem.slug


def test_one_slug_is_one_kind_of_problem() -> None:
    kinds: dict[str, set[int]] = {}
    for problem in problems():
        assert re.fullmatch(r"[a-z0-9-]+", problem.slug)
        assert problem.title
        kinds.setdefault(problem.slug, set()).add(problem.status)
    assert {slug: statuses for slug, statuses in kinds.items() if len(statuses) > 1} == {}


def test_every_table_has_its_owners_prefix_and_its_class_the_ending() -> None:
    owners = {"corekit": "corekit_"} | {
        type(plugin).__module__.partition(".")[0]: f"{plugin.name}_" for plugin in everything()
    }
    for mapper in Base.registry.mappers:
        prefix = owners[mapper.class_.__module__.partition(".")[0]]
        assert str(mapper.local_table.description).startswith(prefix)
        assert mapper.class_.__name__.endswith("Row")


def test_events_are_told_apart_by_their_tags(tmp_path: Path) -> None:
    kit = Corekit(everything(), data_dir=tmp_path)
    listeners = [handler.listener for many in kit.handlers.listeners.values() for handler in many]
    assert len(listeners) == len(set(listeners))


def test_purposes_are_few_and_each_says_why(tmp_path: Path) -> None:
    """A new purpose is a new way around a person's rights: it belongs in this list, and into a review."""
    kit = Corekit(everything(), data_dir=tmp_path)
    declared = {purpose for plugin in kit.plugins for purpose in plugin.purposes}
    assert set(kit.purposes) == declared | set(PURPOSES) | {plugin.name for plugin in kit.plugins}
    assert all(sentence.endswith(".") for sentence in kit.purposes.values())
    assert sorted(kit.purposes) == [
        "auth",
        "auth.admin",
        "auth.authenticate",
        "auth.directory",
        "auth.import",
        "auth.keys",
        "auth.prune",
        "auth.send-code",
        "auth.sign-in",
        "chat",
        "corekit.audit",
        "corekit.delivery",
        "corekit.idempotency",
        "corekit.jobs",
        "corekit.keyring",
        "corekit.limits",
        "payments",
        "realtime",
        "realtime.departures",
        "realtime.log",
    ]
