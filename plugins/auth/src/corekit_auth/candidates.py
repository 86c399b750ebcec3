"""Who may be signing in with a password: what it is checked against, read before the attempt is charged."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, bindparam, exists, select

from corekit.context import Caller
from corekit.data import Instant, Read
from corekit.data.base import table_of
from corekit_auth.devices import Devices
from corekit_auth.models import KnownDeviceRow, UserRow
from corekit_auth.phones import is_phone

_USER = table_of(UserRow)
_DEVICE = table_of(KnownDeviceRow)


class Candidate(msgspec.Struct, frozen=True):
    """The account with an address or number, and whether it knows the device from which it is asked for."""

    id: UUID
    password_hash: str | None
    email_confirmed_at: datetime | None
    phone_confirmed_at: datetime | None
    banned_until: datetime | None
    knows_device: bool


class Candidates:
    """Reads them; an unknown address costs the same statement."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    async def at(self, caller: Caller, address: str) -> Candidate | None:
        """Find the account with this address or number, in its normal form."""
        device = {"mac": self._devices.mac(caller) or b"", "since": self._devices.since(caller.kit.clock.now())}
        if is_phone(address):
            rows = await caller.read(_BY_PHONE, index=caller.kit.keyring.index("phone", address), **device)
        else:
            rows = await caller.read(_BY_EMAIL, email=address, **device)
        return Candidate(*rows[0]) if rows else None


def _read(which: ColumnElement[bool]) -> Read:
    known = select(1).where(
        _DEVICE.c.user_id == _USER.c.id,
        _DEVICE.c.device_mac == bindparam("mac", type_=_DEVICE.c.device_mac.type),
        _DEVICE.c.last_seen_at > bindparam("since", type_=Instant()),
    )
    columns = [_USER.c[name] for name in Candidate.__struct_fields__[:-1]]
    return Read(select(*columns, exists(known)).where(which, _USER.c.deleted_at.is_(None)))


_BY_EMAIL = _read(_USER.c.email == bindparam("email", type_=_USER.c.email.type))
_BY_PHONE = _read(_USER.c.phone_index == bindparam("index", type_=_USER.c.phone_index.type))
