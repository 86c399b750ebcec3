"""The command line: `corekit serve | worker | migrate | jobs | keyring | plugins | openapi | asyncapi | dev | …`."""

from corekit.cli.main import main

__all__ = ["main"]
