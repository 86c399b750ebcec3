"""Who and what an attempt comes from, named by keyed hashes: nothing here can be read back."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from uuid import UUID

from corekit.context import Context
from corekit_payments.fraud.settings import Scope
from corekit_payments.models import AttemptRow

_HASH = 32  # hexadecimal digits: 128 bits
_NEIGHBOURS = {4: 24, 6: 48}  # bits that a counter takes for one network
LISTED = {4: range(8, 33), 6: (*range(16, 65), 128)}  # bits of networks that a list may name


def hashed(ctx: Context, scope: Scope, value: str) -> str:
    """Name an identifier so that the same one of the same tenant is found again, and nothing else follows from it."""
    return ctx.kit.keyring.mac("payments.fraud", f"{ctx.tenant or ''}\n{scope}\n{value}").hex()[:_HASH]


def subjects(ctx: Context, payer: UUID, attempt: AttemptRow) -> Mapping[Scope, str]:
    """Return the hashes that counters go by; what is not known of an attempt is not there.

    A card's token is the instrument. Of UPI nobody knows whose app will pay, and a token of the sandbox says what is to
    happen, not who pays.
    """
    address = parsed(attempt.address)
    known: dict[Scope, str | None] = {
        "principal": str(payer),
        "instrument": attempt.method_token if attempt.method_type == "card" else None,
        "device": attempt.device or None,
        "network": network(address, _NEIGHBOURS[address.version]) if address is not None else None,
    }
    return {scope: hashed(ctx, scope, value) for scope, value in known.items() if value is not None}


def networks(ctx: Context, address: str) -> list[str]:
    """Return the hashes of every network around an address that a list may name."""
    found = parsed(address)
    if found is None:
        return []
    return [hashed(ctx, "network", network(found, bits)) for bits in LISTED[found.version]]


def network(address: IPv4Address | IPv6Address, bits: int) -> str:
    """Name the network of so many bits around an address."""
    return f"{address.version}/{bits}/{int(address) >> (address.max_prefixlen - bits):x}"


def parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; an IPv4 one inside an IPv6 one is the IPv4 one."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
