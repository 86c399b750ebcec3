"""Every route says who may call it."""

from pathlib import Path
from typing import Any

from litestar.handlers import BaseRouteHandler

from corekit import Corekit
from corekit.assembly import discover
from corekit.web import create_app, requires
from corekit.web.guards import PUBLIC

LITESTARS_OWN = "litestar."  # the page that describes the API: a switch turns it off, not a guard


def handlers(kit: Corekit) -> set[BaseRouteHandler]:
    found: set[BaseRouteHandler] = set()
    for route in create_app(kit).routes:
        found.update(getattr(route, "route_handlers", None) or [route.route_handler])  # type: ignore[union-attr]
    return {one for one in found if not module_of(one).startswith(LITESTARS_OWN)}


def module_of(handler: BaseRouteHandler) -> str:
    function: Any = handler.fn
    return str(getattr(function, "func", function).__module__)


def says_who(handler: BaseRouteHandler) -> bool:
    kinds = [getattr(guard, "__qualname__", "") for guard in handler.resolve_guards()]
    reasons = [getattr(guard, PUBLIC, None) for guard in handler.resolve_guards()]
    return requires().__qualname__ in kinds or any(reasons)


def test_every_route_has_a_guard_or_says_why_not(tmp_path: Path) -> None:
    found = handlers(Corekit(discover(None), data_dir=tmp_path))
    assert {path for handler in found for path in handler.paths}
    assert {f"{module_of(handler)}: {handler}" for handler in found if not says_who(handler)} == set()


def test_every_path_is_below_its_plugin_or_a_public_protocols(tmp_path: Path) -> None:
    kit = Corekit(discover(None), data_dir=tmp_path)
    roots = tuple(f"/{plugin.name}/v1" for plugin in kit.plugins)
    known = (*roots, "/connection/websocket", "/.well-known/", "/live", "/ready", "/docs")
    assert [route.path for route in create_app(kit).routes if not route.path.startswith(known)] == []
