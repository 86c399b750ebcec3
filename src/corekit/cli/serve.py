"""`corekit serve` and `corekit worker`."""

import asyncio
import logging
import signal
import socket
from importlib.metadata import version
from pathlib import Path

import click

from corekit.cli.options import PortInUse, configuration, load, run
from corekit.data import Base
from corekit.data.pii import marked
from corekit.errors import ConfigError
from corekit.kit import Corekit
from corekit.settings import Config
from corekit.watch import LogSettings, configure_logs, get_logger


@click.command()
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one [8000].")
@click.option("--worker/--no-worker", default=None, help="Run jobs in this process too [yes].")
@configuration
def serve(
    host: str | None,
    port: int | None,
    worker: bool | None,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Serve the enabled plugins over HTTP and WebSocket until SIGTERM.

    Without any option: on http://127.0.0.1:8000, with everything in one SQLite file below ./var.
    """
    web = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    jobs = {} if worker is None else {"worker": worker}
    config = load(path, env, database, data_dir, web=web, jobs=jobs)
    _logs(config)
    run(_serve(Corekit.load(config)))


@click.command()
@configuration
def worker(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Run jobs only, beside one or more `corekit serve --no-worker` on the same PostgreSQL."""
    config = load(path, env, database, data_dir, jobs={"worker": True})
    _logs(config)
    kit = Corekit.load(config)
    if kit.database.dialect == "sqlite":
        raise ConfigError("a worker of its own needs PostgreSQL; on SQLite `corekit serve` runs the jobs itself")
    if any(plugin.name == "realtime" for plugin in kit.plugins):
        click.echo("note: what listeners publish here reaches no socket of another process", err=True)
    run(_work(kit))


async def _serve(kit: Corekit) -> None:
    from corekit.web import WebSettings, create_app  # noqa: PLC0415  # HTTP is an extra; the other commands work without
    from corekit.web.uvicorn import Server, server_config  # noqa: PLC0415

    settings = kit.config.table("web", WebSettings)
    with _reserve(settings.host, settings.port) as listener:
        async with kit:
            app = create_app(kit, lifespan=False)
            server = Server(server_config(app), drain=lambda: kit.drain(settings.drain))
            _open(listener)  # a kit that refuses to start has never listened
            _announce(kit, listener.getsockname(), docs=settings.openapi)
            await server.serve(sockets=[listener])
    get_logger("corekit.serve").info("stopped")


async def _work(kit: Corekit) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with kit:
        click.echo(f"corekit {version('corekit')} · {kit.env} · worker on {kit.database.dialect}")
        await stopped.wait()


def _reserve(host: str, port: int) -> socket.socket:
    """Bind before anything is started, so that a taken port costs nothing and says so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None
    return listener


def _open(listener: socket.socket) -> None:
    try:
        listener.listen(2048)
    except OSError as error:  # somebody else reserved it too and was faster
        host, port = listener.getsockname()[:2]
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None


def _announce(kit: Corekit, address: tuple[str, int], *, docs: bool) -> None:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    where = kit.database.path if kit.database.dialect == "sqlite" else "PostgreSQL"
    names = ", ".join(plugin.name for plugin in kit.plugins)
    click.echo(f"corekit {version('corekit')} · {kit.env} · {names} · data in {where}")
    click.echo(f"listening on http://{host}:{address[1]}")
    if docs:
        click.echo(f"API docs at  http://{host}:{address[1]}/docs")


def _logs(config: Config) -> None:
    settings = config.table("logs", LogSettings)
    personal = {column for _, column, _ in marked(Base.registry)}
    style = settings.style or ("text" if config.env == "dev" else "json")
    configure_logs(style, level=settings.level, deny=personal - {"id", "actor", "tenant"})
    logging.captureWarnings(True)
