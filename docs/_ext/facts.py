"""Directives that read the code, so that the reference cannot drift from it.

`{settings}`, `{problems}`, `{events}`, `{routes}`, `{methods}`, `{codes}` and `{command-line}`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

import click
import msgspec
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from corekit import Corekit, Event, Plugin, Settings
from corekit.assembly import discover
from corekit.cli.config import tables as tables_of
from corekit.cli.main import cli
from corekit.contracts.realtime import method_of
from corekit.errors import Problem
from corekit.settings import Secret
from corekit.web import create_app

PROBLEMS = Path(__file__).parents[1] / "problems"
METHODS = ("get", "post", "put", "patch", "delete")


def plugins() -> list[Plugin[Any]]:
    """Return the workspace's plugins, with all their modules imported."""
    found = [plugin for plugin in discover(None) if type(plugin).__module__.startswith("corekit_")]
    for package in ("corekit.contracts", *(type(plugin).__module__.partition(".")[0] for plugin in found)):
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if ".migrations." not in module.name:
                importlib.import_module(module.name)
    return found


def settings(_: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write one table per table of `corekit.toml`."""
    for name, type_ in tables_of(Corekit(plugins())).items():
        yield f"**`[{name}]`**\n\n{one_line(type_)}\n"
        yield from table(("setting", "type", "default", "environment"), _fields(name, type_))


def _fields(table_name: str, type_: type[Settings], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for field in msgspec.structs.fields(type_):
        key = prefix + field.encode_name
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        variable = f"COREKIT_{table_name}__{field.encode_name}".upper() if not prefix else "–"
        if isinstance(field.type, type) and issubclass(field.type, Settings) and not prefix:
            yield (code(key), "table", f"see {code(key + '.…')}", code(variable))
            yield from _fields(table_name, field.type, f"{key}.")
        else:
            yield (
                code(key),
                code(type_name(field.type)),
                code(_default(default)),
                code(variable) if not prefix else "–",
            )


def _default(value: Any) -> str:
    return "set" if isinstance(value, Secret) else msgspec.json.encode(value, enc_hook=str).decode()


def problems(_: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write one row per problem, by slug."""
    found = sorted(below(Problem), key=lambda problem: (problem.status, problem.slug, problem.__module__))
    rows = [
        (_page(p.slug), str(p.status), str(p.code) + (" (temporary)" if p.temporary else ""), p.title, one_line(p))
        for p in found
        if documented(p)
    ]
    return table(("slug", "HTTP", "realtime", "title", "when"), rows)


def _page(slug: str) -> str:
    """Link a problem to its page, where it has one of its own."""
    return f"[{code(slug)}](../problems/{slug}.md)" if (PROBLEMS / f"{slug}.md").is_file() else code(slug)


def events(_: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write one row per event."""
    found = sorted((event for event in below(Event) if documented(event) and event.__struct_config__.tag), key=tag)
    rows = [(code(tag(e)), code(f"{e.__module__}.{e.__name__}"), fields_of(e), one_line(e)) for e in found]
    return table(("tag", "class", "fields", "when"), rows)


def routes(found: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write one row per operation of the OpenAPI description."""
    paths = create_app(Corekit(found), lifespan=False).openapi_schema.to_schema()["paths"]
    rows = [
        (code(f"{method.upper()} {path}"), first_sentence(item[method].get("description", "")))
        for path, item in sorted(paths.items())
        for method in METHODS
        if method in item
    ]
    return table(("request", "what"), rows)


def methods(found: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write one row per realtime method."""
    packages = {type(plugin).__module__.partition(".")[0] for plugin in found}
    modules = [module for name, module in sorted(importlib.sys.modules.items()) if name.partition(".")[0] in packages]
    rows = {}
    for module in modules:
        for _, class_ in inspect.getmembers(module, inspect.isclass):
            for _, function in inspect.getmembers(class_, inspect.isfunction):
                if mark := method_of(function):
                    hints = [hint for name, hint in get_type_hints(function).items() if name not in {"ctx", "caller"}]
                    shown = " → ".join(code(type_name(hint)) for hint in hints)
                    rows[mark[0]] = (code(mark[0]), shown, one_line(function))
    return table(("method", "request → reply", "what"), [rows[name] for name in sorted(rows)])


def codes(_: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write what the gateway answers, and with what it closes."""
    named = vars(importlib.import_module("corekit_realtime.codes")).values()
    errors = {one.code: one for one in named if type(one).__name__ == "Error"}
    closes = {one.code: one for one in named if type(one).__name__ == "Close"}
    yield from table(
        ("error", "message", "temporary"),
        [(str(code_), errors[code_].message, "yes" if errors[code_].temporary else "") for code_ in sorted(errors)],
    )
    yield from table(("close code", "reason"), [(str(code_), closes[code_].reason) for code_ in sorted(closes)])


def command_line(_: Sequence[Plugin[Any]]) -> Iterator[str]:
    """Write the help text of every command."""
    context = click.Context(cli, info_name="corekit", terminal_width=100)
    for command in _commands(context):
        yield f"```text\n{command.get_help()}\n```\n"


def _commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from _commands(click.Context(command, context, name, terminal_width=100))


def below(base: type[Any]) -> Iterator[type[Any]]:
    """Return all subclasses."""
    for subclass in base.__subclasses__():
        yield subclass
        yield from below(subclass)


def documented(class_: type[Any]) -> bool:
    """Tell whether a class belongs to the core or to a plugin of the workspace."""
    return class_.__module__.partition(".")[0].startswith("corekit")


def tag(event: type[Event]) -> str:
    """Return an event's stable name."""
    return str(event.__struct_config__.tag)


def fields_of(struct: type[msgspec.Struct]) -> str:
    """List the fields of a struct."""
    return ", ".join(code(field.name) for field in msgspec.structs.fields(struct))


def type_name(hint: Any) -> str:
    """Write a type as its reader would."""
    text = inspect.formatannotation(hint)
    for noise in ("corekit.settings.", "corekit.contracts.messaging.", "corekit.values.pages.", "typing.", "pathlib."):
        text = text.replace(noise, "")
    return text.rpartition(".")[2] if "[" not in text else text


def one_line(thing: Any) -> str:
    """Return the first sentence or sentences of a docstring, in one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def first_sentence(text: str) -> str:
    """Return the first paragraph in one line."""
    return " ".join(text.strip().split("\n\n")[0].split())


def code(text: str) -> str:
    """Mark up a text as code, inside a table."""
    return "`" + text.replace("|", "\\|") + "`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


class Facts(SphinxDirective):
    """One list, read from the code."""

    source: ClassVar[Any]

    def run(self) -> list[nodes.Node]:
        """Write it as Markdown and let the page's own parser read that."""
        self.env.note_dependency(__file__)
        return list(self.parse_text_to_nodes("\n".join(type(self).source(plugins()))))


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    for name, source in {
        "settings": settings,
        "problems": problems,
        "events": events,
        "routes": routes,
        "methods": methods,
        "codes": codes,
        "command-line": command_line,
    }.items():
        app.add_directive(name, type(f"{source.__name__.title()}Facts", (Facts,), {"source": staticmethod(source)}))
    return {"parallel_read_safe": True}
