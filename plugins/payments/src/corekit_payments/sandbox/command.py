"""`corekit payments sandbox serve`."""

import signal
from pathlib import Path
from typing import Any

import click
import msgspec

from corekit.cli.options import PortInUse, configuration, load
from corekit.contracts.payments import ProviderSettings
from corekit.errors import ConfigError
from corekit.kit import Corekit
from corekit.values import SystemClock
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.journal import Journal, journal_of
from corekit_payments.sandbox.serving import SandboxServer
from corekit_payments.sandbox.starting import demand_allowed, login_of
from corekit_payments.settings import PaymentsSettings


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 is any that is free.")
@click.option("--instance", default="sandbox", show_default=True, help="The name below [payments.providers].")
@configuration
def serve(
    *, port: int, instance: str, path: Path | None, env: str | None, database: str | None, data_dir: Path | None
) -> None:
    """Run the sandbox as a process of its own, on 127.0.0.1 alone, and print its address.

    A server whose instance has this address as `base_address` pays there. Both need the same `key_secret`,
    16 characters or more, from the environment or a file.
    """
    kit = Corekit.load(load(path, env, database, data_dir))
    settings = settings_of(kit, instance)
    demand_allowed(settings, kit.env)
    bank = Bank(Journal(journal_of(kit.database.data_dir, instance)), SystemClock())
    try:
        server = SandboxServer(bank, login_of(settings), port)
    except OSError as error:
        raise PortInUse(f"port {port} of 127.0.0.1: {error.strerror}") from None
    signal.signal(signal.SIGTERM, _end)
    with server:
        click.echo(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("ended", err=True)


def settings_of(kit: Corekit, instance: str) -> ProviderSettings:
    """Return the settings of an instance (ConfigError: it is no sandbox)."""
    settings = kit.config.table("payments", PaymentsSettings).providers.get(instance)
    if settings is None or settings.kind != "sandbox":
        raise ConfigError(f"[payments.providers.{instance}] is no sandbox")
    return msgspec.structs.replace(settings, name=instance)


def _end(*_: Any) -> None:
    raise KeyboardInterrupt
