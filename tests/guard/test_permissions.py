"""Declared permissions: what a plugin may declare, and what is said of a role that has something else."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from corekit import Plugin, Settings, implements
from corekit.contracts.access import Permission, declared_permissions
from corekit.errors import PluginError
from corekit.guard.permissions import permissions_of
from corekit.testing import make_kit

READ = "shop:order:read"


class Shop(Plugin[Settings]):
    """Declares what it is told to."""

    name = "shop"

    def __init__(self, *names: str) -> None:
        super().__init__(Settings())
        self._names = names

    @implements(declared_permissions)
    async def permissions(self) -> Sequence[Permission]:
        return [Permission(name, "See orders") for name in self._names]


async def test_a_role_with_what_its_plugin_does_not_know_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It grants nothing, which nobody would notice; what belongs to a plugin that declares none is let alone."""
    roles = {"clerk": [READ, "shop:orders:read", "elsewhere:thing:do"]}
    async with make_kit([Shop(READ)], tmp_path=tmp_path, settings={"access": {"roles": roles}}) as kit:
        assert list(await permissions_of(kit.hooks)) == [READ]
    said = [record.getMessage() for record in caplog.records if "permission_unknown" in record.getMessage()]
    assert len(said) == 1
    assert "[access.roles] clerk: shop:orders:read" in said[0]


@pytest.mark.parametrize("names", [(READ, READ), ("shop:order",), ("Shop:order:read",), ("shop:*",), (f"{READ}\n",)])
async def test_what_is_no_permission_ends_the_start(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(PluginError):
        async with make_kit([Shop(*names)], tmp_path=tmp_path):
            pass
