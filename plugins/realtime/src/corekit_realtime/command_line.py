"""`corekit realtime …`."""

from pathlib import Path

import click
import msgspec

from corekit.cli.describe import described
from corekit.cli.options import configuration, run
from corekit.contracts.realtime import Realtime
from corekit.kit import Corekit
from corekit_realtime.settings import RealtimeSettings


@click.command("centrifugo-config")
@click.option("--backend", metavar="URL", default="http://127.0.0.1:8000", help="Where Centrifugo reaches corekit.")
@configuration
def centrifugo_config(
    *,
    backend: str,
    path: Path | None,
    env: str | None,
    database: str | None,  # noqa: ARG001  # every command takes it
    data_dir: Path | None,  # noqa: ARG001
) -> None:
    """Print a configuration of Centrifugo (version 6) that fits this kit's channels and limits; it has no secret.

    Plugins say which channels there are when they start, so a kit is started for it, on an empty
    database; it reaches no other server.
    """
    from corekit_realtime.centrifugo.example import example  # noqa: PLC0415  # needs Litestar, an extra

    def written(kit: Corekit) -> bytes:
        settings = kit.config.table("realtime", RealtimeSettings)
        return msgspec.json.encode(example(settings, kit.get(Realtime).surface().namespaces, backend))

    click.echo(msgspec.json.format(run(described(path, env, written)), indent=2).decode())
