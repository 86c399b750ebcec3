"""Known devices: a network and a kind of client from which somebody has signed in before."""

import re
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Caller, Client, Context
from corekit.guard import prefix_key
from corekit.values import uuid7
from corekit_auth.models import KnownDeviceRow
from corekit_auth.settings import AuthSettings

# The first that is named counts: every browser also names those that it is like.
_FAMILIES = ("Edg", "OPR", "SamsungBrowser", "Firefox", "FxiOS", "CriOS", "Chrome", "Safari")
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_SEEN = select(KnownDeviceRow.device_mac).where(
    KnownDeviceRow.user_id == bindparam("user_id"), KnownDeviceRow.last_seen_at > bindparam("since")
)


class Devices:
    """A guess, kept as an HMAC: it gives the owner a bucket of failures that no guesser elsewhere can fill."""

    def __init__(self, settings: AuthSettings) -> None:
        self._life = timedelta(seconds=settings.known_device_life)

    def mac(self, caller: Caller) -> bytes | None:
        """Name the device of who calls; None for an embedder that tells no address."""
        client = caller.client
        if not client.address:
            return None
        return caller.kit.keyring.mac("auth.device", f"{prefix_key(client.address)}\n{family(client)}")

    def since(self, now: datetime) -> datetime:
        """Tell how long ago a device may have been seen last to be known still."""
        return now - self._life

    async def remember(self, ctx: Context, user_id: UUID) -> bool:
        """Note that somebody signed in from here; tell whether it is a new device of an account that has others."""
        mac = self.mac(ctx.caller)
        if mac is None:
            return False
        now = ctx.now()
        before = set(await ctx.session.scalars(_SEEN, {"user_id": user_id, "since": self.since(now)}))
        row = {"id": uuid7(), "user_id": user_id, "device_mac": mac, "last_seen_at": now, "created_at": now}
        await (await ctx.session.connection()).execute(_remember(ctx.kit.database.dialect), row)
        return bool(before) and mac not in before


@cache
def _remember(dialect: str) -> Insert:
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(KnownDeviceRow)
    again = {"last_seen_at": insert.excluded.last_seen_at}
    return insert.on_conflict_do_update(index_elements=["user_id", "device_mac"], set_=again)


def family(client: Client) -> str:
    """Name the kind of client, without its version: that changes every month."""
    for name in _FAMILIES:
        if name in client.user_agent:
            return name
    found = _PRODUCT.match(client.user_agent)
    return found.group() if found else ""
