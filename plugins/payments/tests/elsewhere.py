"""A start in another environment than the tests'."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from corekit.plugin import Plugin
from corekit.settings import Settings


class ElsewherePlugin(Plugin[Settings]):
    """Makes the rest of a start believe that it is another environment."""

    name = "elsewhere"

    def __init__(self, env: str) -> None:
        super().__init__()
        self.env = env

    @asynccontextmanager
    async def lifespan(self, kit: Any) -> AsyncGenerator[None]:
        kit.env = self.env
        yield
