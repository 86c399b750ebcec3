"""`X-Forwarded-For`: whatever a client writes into it, it cannot choose its own address."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corekit.errors import ConfigError
from corekit.web.proxies import HOPS_MAX, Proxies

INSIDE = ("10.0.0.0/8", "fd00::/8", "192.0.2.1")
PROXIES = Proxies(INSIDE)
Address = IPv4Address | IPv6Address


def outside(address: Address) -> bool:
    plain = getattr(address, "ipv4_mapped", None) or address
    return not any(
        plain in network for network in (IPv4Network(INSIDE[0]), IPv6Network(INSIDE[1]), IPv4Network(INSIDE[2]))
    )


inside = st.one_of(
    st.ip_addresses(network=INSIDE[0]), st.ip_addresses(network=INSIDE[1]), st.just(IPv4Address(INSIDE[2]))
)
clients = st.ip_addresses().filter(outside)
latin = st.text(st.characters(codec="latin-1"), max_size=80)
whatever = st.lists(st.one_of(latin, st.ip_addresses().map(str), inside.map(str)), max_size=8).map(",".join)


@st.composite
def written(draw: st.DrawFn, addresses: st.SearchStrategy[Address]) -> tuple[Address, str]:
    """Draw an address, and one of the ways in which proxies write it."""
    address = draw(addresses)
    port = draw(st.integers(1, 65_535))
    if isinstance(address, IPv6Address):
        forms = [str(address), address.exploded.upper(), f"[{address}]", f"[{address}]:{port}"]
        forms += [] if address.ipv4_mapped else [f"{address}%eth0"]
    else:
        forms = [str(address), f"{address}:{port}", f"::ffff:{address}", f"[::ffff:{address}]:{port}"]
    blank = draw(st.sampled_from(["", " ", "  ", "\t"]))
    return address, blank + draw(st.sampled_from(forms)) + blank


def plain(address: Address) -> str:
    return str(getattr(address, "ipv4_mapped", None) or address)


@given(inside, whatever, written(clients), st.lists(written(inside), max_size=5))
def test_what_a_client_wrote_itself_never_counts(
    peer: Address, invented: str, client: tuple[Address, str], chain: list[tuple[Address, str]]
) -> None:
    """The first proxy adds whom it saw, the next ones add the proxy before them; what came along is to the left."""
    header = ",".join([invented, client[1], *(form for _, form in chain)])
    assert PROXIES.client(str(peer), header) == plain(client[0])


@given(clients, whatever)
def test_who_connects_without_a_proxy_is_taken_as_it_is(peer: Address, invented: str) -> None:
    assert PROXIES.client(str(peer), invented) == plain(peer)


@given(st.ip_addresses(), whatever)
def test_without_trusted_proxies_nobody_is_believed(peer: Address, invented: str) -> None:
    assert Proxies().client(str(peer), invented) == plain(peer)


@given(
    inside,
    whatever,
    st.sampled_from(["unknown", "unix:", "_hidden", "", "1.2.3", "1.2.3.4:x", "[::1", "[::1]x", "::1::"]),
)
@example(IPv4Address("10.0.0.1"), "198.51.100.1", "")
def test_left_of_what_is_no_address_nothing_counts(peer: Address, invented: str, written: str) -> None:
    assert PROXIES.client(str(peer), f"{invented},{written}") == plain(peer)


@given(inside, whatever)
def test_the_answer_is_always_an_address(peer: Address, header: str) -> None:
    answer = PROXIES.client(str(peer), header)
    found = IPv6Address(answer) if ":" in answer else IPv4Address(answer)
    assert str(found) == answer
    assert outside(found) or answer == plain(peer)


def test_a_row_of_proxies_is_read_so_far_and_no_further() -> None:
    def through(proxies: int) -> str:
        return PROXIES.client("10.0.0.1", ",".join(["198.51.100.1", *["10.0.0.2"] * proxies]))

    assert through(HOPS_MAX - 1) == "198.51.100.1"
    assert through(HOPS_MAX) == through(10_000) == "10.0.0.1"


@pytest.mark.parametrize("peer", ["", "testclient", "/run/corekit.sock"])
def test_a_peer_without_an_address_is_not_believed(peer: str) -> None:
    assert PROXIES.client(peer, "192.0.2.7") == peer


def test_a_network_may_be_written_for_a_socket_of_both_families() -> None:
    proxies = Proxies(("::ffff:10.0.0.0/104",))
    assert proxies.client("::ffff:10.1.2.3", "198.51.100.1") == "198.51.100.1"
    assert proxies.client("11.1.2.3", "198.51.100.1") == "11.1.2.3"


@pytest.mark.parametrize("text", ["", "*", "proxy.internal", "10.0.0.0/33", "10.0.0.1:80", "fe80::%eth0/64x"])
def test_a_wrong_network_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address or network, like"):
        Proxies((text,))
