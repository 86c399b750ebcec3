"""Known devices: a network and a kind of client from which somebody has signed in before."""

import re
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Client, Context
from corekit.guard import prefix_key
from corekit.values import uuid7
from corekit_auth.models import KnownDeviceRow
from corekit_auth.settings import AuthSettings

# The first that is named counts: every browser also names those that it is like.
_FAMILIES = ("Edg", "OPR", "SamsungBrowser", "Firefox", "FxiOS", "CriOS", "Chrome", "Safari")
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_NOBODY = UUID(int=0)


class Devices:
    """A guess, kept as an HMAC: it gives the owner a bucket of failures that no guesser elsewhere can fill."""

    def __init__(self, settings: AuthSettings) -> None:
        self._life = timedelta(seconds=settings.known_device_life)

    async def known(self, ctx: Context, user_id: UUID | None) -> bytes | None:
        """Return the device of who calls, where that account knows it; an unknown account costs the same query."""
        mac = self._mac(ctx)
        if mac is None:
            return None
        mine = select(KnownDeviceRow.id).where(
            KnownDeviceRow.user_id == (user_id or _NOBODY),
            KnownDeviceRow.device_mac == mac,
            KnownDeviceRow.last_seen_at > ctx.now() - self._life,
        )
        return mac if await ctx.session.scalar(mine) is not None else None

    async def remember(self, ctx: Context, user_id: UUID) -> bool:
        """Note that somebody signed in from here; tell whether it is a new device of an account that has others."""
        mac = self._mac(ctx)
        if mac is None:
            return False
        mine = select(KnownDeviceRow.device_mac).where(
            KnownDeviceRow.user_id == user_id, KnownDeviceRow.last_seen_at > ctx.now() - self._life
        )
        before = set(await ctx.session.scalars(mine))
        insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
        row = {"id": uuid7(), "user_id": user_id, "device_mac": mac, "last_seen_at": ctx.now(), "created_at": ctx.now()}
        seen = (
            insert(KnownDeviceRow)
            .values(row)
            .on_conflict_do_update(index_elements=["user_id", "device_mac"], set_={"last_seen_at": ctx.now()})
        )
        await ctx.session.execute(seen, execution_options={"synchronize_session": False})
        return bool(before) and mac not in before

    def _mac(self, ctx: Context) -> bytes | None:
        client = ctx.caller.client
        if not client.address:  # an embedder that tells none
            return None
        return ctx.kit.keyring.mac("auth.device", f"{prefix_key(client.address)}\n{family(client)}")


def family(client: Client) -> str:
    """Name the kind of client, without its version: that changes every month."""
    for name in _FAMILIES:
        if name in client.user_agent:
            return name
    found = _PRODUCT.match(client.user_agent)
    return found.group() if found else ""
