"""`corekit plugins`, `corekit openapi` and `corekit asyncapi`: what this configuration consists of."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from corekit.assembly import versions
from corekit.cli.options import configuration, load, run
from corekit.data import DatabaseSettings
from corekit.kit import Corekit

T = TypeVar("T")
_OTHERS = ("database", "kit.workers", "redis", "realtime.bus", "realtime.mode")  # what names other servers or processes


@click.command()
@configuration
def plugins(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """List the enabled plugins in the order in which they start."""
    known = versions()
    for plugin in Corekit.load(load(path, env, database, data_dir)).plugins:
        provides = ", ".join(contract.__name__ for contract in plugin.provides) or "-"
        requires = ", ".join(contract.__name__ for contract in plugin.requires) or "-"
        click.echo(f"{plugin.name:<14} {known.get(plugin.name, '-'):<10} provides {provides:<14} requires {requires}")


@click.command()
@configuration
def openapi(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Print the OpenAPI description of the enabled plugins as JSON."""
    from corekit.web import create_app  # noqa: PLC0415  # HTTP is an extra
    from corekit.web.openapi import document  # noqa: PLC0415

    # Whether a server shows it does not matter here.
    config = load(path, env, database, data_dir, web={"openapi": True})
    app = create_app(Corekit.load(config), lifespan=False)
    _print(document(app))


@click.command()
@configuration
def asyncapi(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:  # noqa: ARG001
    """Print the AsyncAPI description of the enabled plugins' channels and methods as JSON.

    Plugins add them when they start, so a kit is started for it, on an empty database and with keys
    that are thrown away; it reaches no other server.
    """
    from corekit.web.asyncapi import document  # noqa: PLC0415  # HTTP is an extra

    _print(run(described(path, env, document)))


async def described(path: Path | None, env: str | None, say: Callable[[Corekit], T]) -> T:
    """Start what is configured, on an empty database, for what it says of itself; no other server is reached."""
    config = load(path, env, None, None, kit={"migrate": True}, jobs={"worker": False}, keyring={"active": ""})
    alone = config.without(*_OTHERS)
    with tempfile.TemporaryDirectory(prefix="corekit-") as folder:
        async with Corekit.load(alone, env="dev", database=DatabaseSettings(), data_dir=folder) as kit:
            return say(kit)


def _print(described: dict[str, Any]) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(described), indent=2).decode())
