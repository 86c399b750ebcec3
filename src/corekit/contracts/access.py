"""Access: the permissions that there are, as plugins declare them. Who holds which is said in `[access]`."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from corekit.hooks import hookspec

Scope = Literal["global", "tenant", "room", "team"]


class Permission(msgspec.Struct, frozen=True):
    """Something that not everybody may do: `name` is `plugin:resource:action`, `description` a sentence for operators.

    `scopes` says where it can be held.
    """

    name: str
    description: str
    scopes: frozenset[Scope] = frozenset({"global"})


@hookspec
async def declared_permissions() -> Sequence[Permission] | None:
    """Name the permissions that your plugin asks for; nobody holds one until an operator says so."""
