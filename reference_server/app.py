"""The reference server as an ASGI application, for those who run their own ASGI server.

`uvicorn --factory reference_server.app:make`; `corekit serve` needs none of this.
"""

import os
from pathlib import Path

from litestar import Litestar

from corekit import Corekit
from corekit.settings import Config
from corekit.web import create_app


def make() -> Litestar:
    """Make the application from `COREKIT_CONFIG`, or from the `corekit.toml` beside this file."""
    beside = Path(__file__).with_name("corekit.toml")
    return create_app(Corekit.load(Config.load(os.environ.get("COREKIT_CONFIG", beside))))
