"""The entry point: options that every command shares, and faults as one line with an exit code."""

import socket
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NoReturn

import click
from sqlalchemy.exc import DBAPIError

from corekit.cli.audit import audit
from corekit.cli.config import config
from corekit.cli.describe import asyncapi, openapi, plugins
from corekit.cli.dev import dev
from corekit.cli.jobs import jobs
from corekit.cli.keyring import keyring
from corekit.cli.mail import mail
from corekit.cli.migrate import migrate
from corekit.cli.options import PortInUse
from corekit.cli.plugins import Commands
from corekit.cli.serve import serve, worker
from corekit.errors import ConfigError, DecryptFailed, PluginError, SchemaError, WorkersFailed

_EXIT: Mapping[type[Exception], int] = {
    ConfigError: 2,
    DecryptFailed: 2,
    PluginError: 2,
    PortInUse: 2,
    SchemaError: 3,
    DBAPIError: 3,
    WorkersFailed: 4,
}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("corekit"), message="corekit %(version)s")
def cli() -> None:
    """Run and look after a corekit server.

    Exit codes: 2 usage, configuration or port; 3 database or schema state; 4 no
    worker process stays up.
    """


for command in (serve, worker, migrate, jobs, audit, mail, keyring, plugins, config, openapi, asyncapi, dev):
    cli.add_command(command)


def main() -> None:
    """Run the command line; what can go wrong becomes one line on stderr."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except tuple(_EXIT) as error:
        _fail(error)
    except (ConnectionError, TimeoutError, socket.gaierror) as error:
        _fail(SchemaError(f"the database does not answer: {error.strerror or error}"))


def _fail(error: Exception) -> NoReturn:
    text: Any = error.orig if isinstance(error, DBAPIError) else error
    click.echo(f"corekit: {' '.join(str(text).split())}", err=True)
    sys.exit(next(code for kind, code in _EXIT.items() if isinstance(error, kind)))
