"""Probes: is the process alive, may it get traffic."""

from typing import Any

import msgspec
from litestar import Response, get

from corekit.context import Kit
from corekit.watch import Health
from corekit.web.access import LOGGED
from corekit.web.guards import public

_OPTIONS = {"bearer": "own", LOGGED: False}  # no token is read, and no line is logged while all is well


class Readiness(msgspec.Struct):
    """What `/ready` says; no hosts, no exception texts."""

    status: str
    checks: dict[str, str]


def probes(kit: Kit, health: Health) -> list[Any]:
    """Make `/live` and `/ready`."""

    @get("/live", guards=[public("an orchestrator probes it")], include_in_schema=False, opt=_OPTIONS)
    async def live() -> dict[str, str]:
        """Answer: that is the proof. Never touches the database."""
        return {"status": "ok", "env": kit.env}

    @get("/ready", guards=[public("an orchestrator probes it")], include_in_schema=False, opt=_OPTIONS)
    async def ready() -> Response[Readiness]:
        """Tell whether traffic may come."""
        ok, states = await health.ready()
        status = "draining" if health.draining else "ok" if ok else "down"
        return Response(Readiness(status, dict(states)), status_code=200 if ok else 503)

    return [live, ready]
