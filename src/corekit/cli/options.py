"""What several commands share: where the configuration comes from, and how a coroutine is run."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from corekit.settings import Config

P = ParamSpec("P")
R = TypeVar("R")


class PortInUse(Exception):
    """Somebody else listens where we were told to."""


def configuration(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that pick and override a configuration."""
    for option in (
        click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where data lies [./var]."),
        click.option("--database", metavar="URL", help="sqlite:///PATH or postgresql://… [sqlite in the data dir]."),
        click.option("--env", help="Environment: a table [env.NAME] of the configuration [dev on loopback]."),
        click.option("--config", "path", type=click.Path(path_type=Path), help="Configuration file [./corekit.toml]."),
    ):
        command = option(command)
    return command


def load(path: Path | None, env: str | None, database: str | None, data_dir: Path | None, **tables: Any) -> Config:
    """Read the configuration, with the command line as its last layer."""
    overrides: dict[str, dict[str, Any]] = {name: dict(values) for name, values in tables.items() if values}
    if database is not None:
        overrides["database"] = {"url": database}
    if data_dir is not None:
        overrides.setdefault("kit", {})["data_dir"] = str(data_dir)
    return Config.load(path, env, overrides=overrides)


def run(main: Coroutine[Any, Any, R]) -> R:
    """Run to the end on uvloop where it is installed."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415  # a part of the extra corekit[server]
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
