"""`corekit plugins` and `corekit openapi`: what this configuration consists of."""

from pathlib import Path

import click
import msgspec

from corekit.assembly import versions
from corekit.cli.options import configuration, load
from corekit.kit import Corekit


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

    app = create_app(Corekit.load(load(path, env, database, data_dir)), lifespan=False)
    click.echo(msgspec.json.format(msgspec.json.encode(document(app)), indent=2).decode())
