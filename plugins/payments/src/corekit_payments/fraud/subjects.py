"""Who and what an attempt comes from, named by keyed hashes: nothing here can be read back."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from uuid import UUID

from corekit.context import Context
from corekit_payments.fraud.settings import Scope
from corekit_payments.models import AttemptRow

_HASH = 32  # hexadecimal digits: 128 bits
_PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10")
_LOCAL = tuple(ip_network(one) for one in _PRIVATE)
_NEIGHBOURS = {4: 24, 6: 48}  # bits that a counter takes for one network
LISTED = {4: range(8, 33), 6: (*range(16, 65), 128)}  # bits of networks that a list may name


def hashed(ctx: Context, scope: Scope, value: str) -> str:
    """Name an identifier so that the same one of the same tenant is found again, and nothing else follows from it."""
    return ctx.kit.keyring.mac("payments.fraud", f"{ctx.tenant or ''}\n{scope}\n{value}").hex()[:_HASH]


def subjects(ctx: Context, payer: UUID, attempt: AttemptRow) -> Mapping[Scope, str]:
    """Return the hashes that counters go by; what is not known of an attempt is not there.

    A card's token is the instrument. Of UPI nobody knows whose app will pay, and a token of the sandbox says what is to
    happen, not who pays. An address that is not a public one is a proxy's, or that of somebody who tries things out.
    """
    address = parsed(attempt.address)
    known: dict[Scope, str | None] = {
        "principal": str(payer),
        "instrument": attempt.method_token if attempt.method_type == "card" else None,
        "device": attempt.device or None,
        "network": network(address, _NEIGHBOURS[address.version]) if address is not None and public(address) else None,
    }
    return {scope: hashed(ctx, scope, value) for scope, value in known.items() if value is not None}


def networks(ctx: Context, address: str) -> list[str]:
    """Return the hashes of every network around an address that a list may name."""
    found = parsed(address)
    if found is None:
        return []
    return [hashed(ctx, "network", network(found, bits)) for bits in LISTED[found.version]]


def public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is one that others can reach, so that it says something of who is behind it."""
    return not any(address.version == local.version and address in local for local in _LOCAL)


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
