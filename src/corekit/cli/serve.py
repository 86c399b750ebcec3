"""`corekit serve` and `corekit worker`."""

import asyncio
import logging
import os
import signal
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from corekit.cli.options import PortInUse, configuration, load, run
from corekit.data import Base
from corekit.data.pii import marked
from corekit.errors import ConfigError
from corekit.jobs import JobSettings
from corekit.kit import WORKERS_MAX, Corekit, KitSettings
from corekit.settings import Config
from corekit.watch import LogSettings, configure_logs, get_logger

STOP_WITHIN = 20.0  # seconds for open requests and for the kit's end, after the drain and beside running jobs


@click.command()
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one [8000].")
@click.option("--workers", type=click.IntRange(1, WORKERS_MAX), help="Processes that share the port [1].")
@click.option("--worker/--no-worker", default=None, help="Run jobs in this process too [yes].")
@configuration
def serve(
    host: str | None,
    port: int | None,
    workers: int | None,
    worker: bool | None,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Serve the enabled plugins over HTTP and WebSocket until SIGTERM.

    Without any option: on http://127.0.0.1:8000, with everything in one SQLite file below ./var.

    Several --workers need a bus that joins them: PostgreSQL's own, Redis or NATS. One that dies is replaced; SIGHUP
    replaces one after the other, and each new one reads its configuration anew.
    """
    from corekit.web.worker import Place  # noqa: PLC0415  # HTTP is an extra; the other commands work without

    place = Place.given()
    web = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    jobs = {} if worker is None else {"worker": worker}
    kit: dict[str, Any] = {} if workers is None else {"workers": workers}
    if place is not None:
        kit = {"workers": place.count} | ({} if place.first else {"migrate": False})
    config = load(path, env, database, data_dir, web=web, jobs=jobs, kit=kit)
    _logs(config)
    if place is None and (count := config.table("kit", KitSettings).workers) > 1:
        sys.exit(run(_supervise(config, count)))
    run(_serve(Corekit.load(config), place))


@click.command()
@configuration
def worker(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Run jobs only, beside one or more `corekit serve --no-worker` on the same PostgreSQL."""
    config = load(path, env, database, data_dir, jobs={"worker": True})
    _logs(config)
    kit = Corekit.load(config, alone=False)
    if kit.database.dialect == "sqlite":
        raise ConfigError("a worker of its own needs PostgreSQL; on SQLite `corekit serve` runs the jobs itself")
    run(_work(kit))


async def _serve(kit: Corekit, place: Any) -> None:
    """Serve in this process; where it has the `Place` of a worker, on the socket that its supervisor reserved."""
    from corekit.web import WebSettings, asgi  # noqa: PLC0415  # HTTP is an extra, as above
    from corekit.web.access import logged  # noqa: PLC0415
    from corekit.web.uvicorn import Server, server_config  # noqa: PLC0415

    settings = kit.config.table("web", WebSettings)
    with _reserve(settings.host, settings.port) if place is None else place.listening_socket() as listener:
        async with kit:
            app = logged(kit.config, asgi(kit))
            server = Server(server_config(app), drain=lambda: kit.drain(settings.drain))
            _open(listener)  # a kit that refuses to start has never listened
            if place is None or place.first:
                _announce(kit, listener.getsockname(), docs=settings.openapi)
            await (server.serve([listener]) if place is None else place.serve(server, listener, kit.health))
    get_logger("corekit.serve").info("stopped")


async def _supervise(config: Config, count: int) -> int:
    """Look after processes that do what this one was told to; return the exit code."""
    from corekit.web import WebSettings  # noqa: PLC0415  # HTTP is an extra, as above
    from corekit.web.supervisor import Supervisor  # noqa: PLC0415

    if os.name != "posix":
        raise ConfigError("several workers need a system that hands sockets on to them, which Windows does not")
    web, jobs = config.table("web", WebSettings), config.table("jobs", JobSettings)
    with _reserve(web.host, web.port) as listener:
        command = [sys.executable, *sys.orig_argv[1:]]
        return await Supervisor(command, listener, count, patience=web.drain + jobs.stop + STOP_WITHIN).run()


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
    configure_logs(settings.style_in(config.env), level=settings.level, deny=personal - {"id", "actor", "tenant"})
    logging.captureWarnings(True)
