"""Who a request comes from, if proxies stand between."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from corekit.errors import ConfigError

HOPS_MAX = 32  # whoever names more only wants us to read them
_LONGEST = 64  # characters of an address with its zone and port
_REMEMBERED = 4096  # clients: most ask more than once
_WRITTEN = re.compile(r"\[([^]]+)](?::\d{1,5})?|([^:[]+)(?::\d{1,5})?|([^[]+)", re.ASCII)
_MAPPED = IPv6Network("::ffff:0:0/96")  # how a socket for both families shows IPv4


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed; without any, a client is whoever connects."""

    def __init__(self, trusted: tuple[str, ...] = ()) -> None:
        self._trusted = [_network(text) for text in trusted]
        self._found = lru_cache(maxsize=_REMEMBERED)(self._find)

    def client(self, peer: str, forwarded: str) -> str:
        """Return the right-most address that is no trusted proxy's; each proxy adds whom it saw on the right.

        Where a proxy wrote no address (`unknown`, `unix:`, nothing), what is further left may be the client's
        invention: then, and where only proxies are named, it is the peer.
        """
        return (self._found if len(forwarded) <= _LONGEST else self._find)(peer, forwarded)

    def _find(self, peer: str, forwarded: str) -> str:
        nearest = _address(peer)
        if nearest is None:
            return peer
        if not self._trusts(nearest):
            return str(nearest)
        for hop in reversed(forwarded.rsplit(",", HOPS_MAX)[-HOPS_MAX:]):
            address = _address(hop)
            if address is None:
                break
            if not self._trusts(address):
                return str(address)
        return str(nearest)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a port, always to the same form, or one client would have many keys."""
    written = text.strip(" \t")
    match = _WRITTEN.fullmatch(written) if len(written) <= _LONGEST else None
    host = next(filter(None, match.groups()), "") if match else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(f"[web] trusted_proxies: {text!r} is no address or network, like 10.0.0.0/8") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network
