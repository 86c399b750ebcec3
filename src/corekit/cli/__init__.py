"""The command line: `corekit serve | worker | migrate | plugins | config | openapi`."""

from corekit.cli.main import main

__all__ = ["main"]
