"""Starts one plugin in a kit where everything that it requires is a fake: `python .ci/alone.py chat`."""

import asyncio
import importlib
import pkgutil
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import entry_points, requires
from typing import Any
from unittest.mock import MagicMock

from corekit import Corekit, Kit, Plugin, Settings
from corekit.contracts.audit import Audit
from corekit.guard import Limits
from corekit.web import create_app


class Fakes(Plugin[Settings]):
    """Provides what another plugin requires, and does nothing."""

    name = "fakes"

    def __init__(self, contracts: Sequence[Any]) -> None:
        super().__init__(Settings())
        self.provides = tuple(contracts)  # type: ignore[misc]  # one class stands in for many

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Offer one mock per contract."""
        for contract in self.provides:
            kit.provide(contract, MagicMock(spec=contract))
        yield


def extras(distribution: str) -> set[str]:
    """Name what only the extras of a plugin bring."""
    asked = [one for one in requires(distribution) or () if "extra ==" in one]
    return {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in asked}


async def main(name: str) -> None:
    """Import all of the plugin, start it, and describe its routes."""
    (entry,) = entry_points(group="corekit", name=name)
    package = importlib.import_module(entry.module)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if entry.dist is None or error.name not in extras(entry.dist.name):
                raise
            print(f"{module.name} is for those who have {error.name}")
    strangers = {other.name for other in entry_points(group="corekit")} - {name}
    if strangers:
        raise SystemExit(f"this environment has other plugins too: {', '.join(sorted(strangers))}")
    plugin = entry.load()()
    with tempfile.TemporaryDirectory() as folder:
        required = [contract for contract in plugin.requires if contract not in (Limits, Audit)]
        async with Corekit([Fakes(required), plugin], data_dir=folder) as kit:
            paths = create_app(kit, lifespan=False).openapi_schema.to_schema()["paths"]
            print(f"{name} starts alone, with {len(paths)} paths")


asyncio.run(main(sys.argv[1]))
