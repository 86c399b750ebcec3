"""The sandbox's notices: signed in Stripe's scheme, and hints like everybody's: what they name is fetched."""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from corekit.contracts.payments import Headers, ProviderEvent
from corekit.settings import Secret
from corekit_payments.sandbox.journal import Row
from corekit_payments.signing import demand_signed, sign

HEADER = "sandbox-signature"
Signed = tuple[dict[str, str], bytes]


class _Object(msgspec.Struct, frozen=True):
    id: str
    kind: str
    reference: str


class _Notice(msgspec.Struct, frozen=True):
    id: str
    type: str
    created: str
    livemode: bool
    object: _Object


def signed(rows: Iterable[Row], secret: Secret, now: datetime, *, live: bool) -> list[Signed]:
    """Write notices as they are sent: headers and body."""
    bodies = [msgspec.json.encode(_written(row, live=live)) for row in rows]
    return [({HEADER: sign(raw, secret, now), "content-type": "application/json"}, raw) for raw in bodies]


def disturbed(notices: Sequence[Signed], copies: int, seed: int) -> list[Signed]:
    """Repeat each notice and mix them all, the same way for the same seed."""
    many = [one for one in notices for _ in range(copies)]
    random.Random(seed).shuffle(many)  # noqa: S311  # no secret
    return many


def read(headers: Headers, raw: bytes, secrets: Sequence[Secret], now: datetime, tolerance: timedelta) -> ProviderEvent:
    """Check a notice's signature over its bytes and read it (ValueError)."""
    header = next((value for name, value in headers.items() if name.lower() == HEADER), None)
    demand_signed(header, raw, secrets, now, tolerance)
    try:
        notice = msgspec.json.decode(raw, type=_Notice)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError("the notice does not read") from error
    return ProviderEvent(
        id=notice.id, type=notice.type, live=notice.livemode, provider_ref=notice.object.id,
        reference=notice.object.reference,
    )  # fmt: skip


def _written(row: Row, *, live: bool) -> _Notice:
    return _Notice(
        id=f"sbe_{row['n']:08}_{row['ref']}", type=f"{row['kind']}.{row['state']}", created=row["at"], livemode=live,
        object=_Object(id=row["ref"], kind=row["kind"], reference=row["reference"]),
    )  # fmt: skip
