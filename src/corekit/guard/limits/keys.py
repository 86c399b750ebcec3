"""Who is behind an address, as the key of a rule."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def address_key(address: str) -> str:
    """Name who is behind an address: IPv4 itself, the /64 of IPv6, since one customer holds all of that."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def prefix_key(address: str) -> str:
    """Name the neighbourhood of an address: /24 of IPv4, /64 of IPv6."""
    parsed = _parsed(address)
    if parsed is None:
        return address
    return str(ip_network((parsed, 64 if parsed.version == 6 else 24), strict=False))  # noqa: PLR2004


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
