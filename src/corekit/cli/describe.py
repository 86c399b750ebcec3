"""`corekit plugins` and `corekit openapi`: what this configuration consists of."""

from importlib.metadata import packages_distributions, version
from pathlib import Path

import click
import msgspec

from corekit.cli.options import configuration, load
from corekit.kit import Corekit


@click.command()
@configuration
def plugins(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """List the enabled plugins in the order in which they start."""
    distributions = packages_distributions()
    for plugin in Corekit.load(load(path, env, database, data_dir)).plugins:
        package = type(plugin).__module__.partition(".")[0]
        release = version(distributions[package][0]) if package in distributions else "-"
        provides = ", ".join(contract.__name__ for contract in plugin.provides) or "-"
        requires = ", ".join(contract.__name__ for contract in plugin.requires) or "-"
        click.echo(f"{plugin.name:<14} {release:<10} provides {provides:<14} requires {requires}")


@click.command()
@configuration
def openapi(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Print the OpenAPI description of the enabled plugins as JSON."""
    from corekit.web import create_app  # noqa: PLC0415  # HTTP is an extra

    app = create_app(Corekit.load(load(path, env, database, data_dir)), lifespan=False)
    click.echo(msgspec.json.format(msgspec.json.encode(app.openapi_schema.to_schema()), indent=2).decode())
