"""Permissions as plugins declare them, held against the roles that the settings give them to."""

import re
from collections.abc import Mapping, Sequence

from corekit.contracts.access import Permission, declared_permissions
from corekit.errors import PluginError
from corekit.hooks import Hooks
from corekit.watch import get_logger

_PART = "[a-z][a-z0-9_-]*"
_NAME = re.compile(f"{_PART}:{_PART}:{_PART}")


async def permissions_of(hooks: Hooks) -> dict[str, Permission]:
    """Ask all plugins, at the start (PluginError: a name is none, or is declared twice)."""
    found: dict[str, Permission] = {}
    for one in [one for declared in await hooks.each(declared_permissions) for one in declared]:
        if not _NAME.fullmatch(one.name):
            raise PluginError(f"{one.name!r} is no permission: plugin:resource:action, in lower case")
        if one.name in found:
            raise PluginError(f"the permission {one.name} is declared twice")
        found[one.name] = one
    return found


async def warn_of_unknown(hooks: Hooks, roles: Mapping[str, Sequence[str]]) -> None:
    """Say in the log where a role has what its plugin does not know: a mistyped permission lets nobody do anything."""
    known = await permissions_of(hooks)
    owners = {name.partition(":")[0] for name in known}
    for role, held in roles.items():
        for name in held:
            if name not in known and name.partition(":")[0] in owners:
                get_logger("corekit.guard").warning("permission_unknown", reason=f"[access.roles] {role}: {name}")
