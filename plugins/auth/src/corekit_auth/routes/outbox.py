"""What the development sink holds, for whoever develops on this machine: nowhere else is there such a route."""

import ipaddress

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromQuery

from corekit.context import Caller
from corekit.delivery import PURPOSE, SentMessage, sent
from corekit.web import Who
from corekit_auth.errors import FeatureDisabled


class Outbox(msgspec.Struct, frozen=True):
    """Mails and SMS, the newest first."""

    messages: list[SentMessage]


class OutboxController(Controller):
    """The sink, in `dev` and over the loopback address alone."""

    path = "/x/outbox"

    @get("/")
    async def messages(self, caller: Who, to: FromQuery[str] = "") -> Response[Outbox]:
        """List what was sent, to everybody or to one address or number."""
        if caller.kit.env != "dev" or not _from_here(caller):
            raise FeatureDisabled
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            found = await sent(ctx, to=to or None)
        return Response(Outbox(found), headers={"Cache-Control": "no-store"})


def _from_here(caller: Caller) -> bool:
    try:
        return ipaddress.ip_address(caller.client.address).is_loopback
    except ValueError:
        return False
