"""`corekit config explain`: every setting, its value, and where that came from."""

from contextlib import suppress
from pathlib import Path

import click

from corekit.cli.options import configuration, load
from corekit.data import DatabaseSettings
from corekit.data.crypto import KeyringSettings
from corekit.data.redis import RedisSettings
from corekit.delivery import MailSettings, SmsSettings
from corekit.guard import AuditSettings, IdempotencySettings, LimitSettings
from corekit.jobs import JobSettings
from corekit.kit import AccessSettings, Corekit, KitSettings
from corekit.settings import Settings
from corekit.watch import LogSettings


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@click.argument("key", required=False)
@configuration
def explain(key: str | None, path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Print every setting, its value and its origin; secrets only as `set`. KEY is a table or `table.key`."""
    layers = load(path, env, database, data_dir)
    known = tables(Corekit.load(layers))
    rows = [row for name, type_ in known.items() for row in layers.explain(name, type_)]
    chosen = [row for row in rows if key is None or row[0] == key or row[0].startswith(f"{key}.")]
    if not chosen:
        raise click.UsageError(f"no setting is called {key!r}; tables: {', '.join(known)}")
    click.echo(f"# environment {layers.env}, file {layers.path or 'none'}")
    wide = max(len(name) for name, _, _ in chosen)
    for name, value, origin in chosen:
        click.echo(f"{name:<{wide}} = {value}  # {origin}")


def tables(kit: Corekit) -> dict[str, type[Settings]]:
    """Name every table of a kit's configuration, with its settings."""
    core: dict[str, type[Settings]] = {
        "kit": KitSettings,
        "database": DatabaseSettings,
        "jobs": JobSettings,
        "access": AccessSettings,
        "keyring": KeyringSettings,
        "limits": LimitSettings,
        "logs": LogSettings,
        "audit": AuditSettings,
        "idempotency": IdempotencySettings,
        "mail": MailSettings,
        "sms": SmsSettings,
        "redis": RedisSettings,
    }
    with suppress(ModuleNotFoundError):  # HTTP is an extra
        from corekit.web import WebSettings  # noqa: PLC0415  # and takes its time

        core["web"] = WebSettings
    return core | {plugin.name: plugin.settings_type for plugin in kit.plugins}
