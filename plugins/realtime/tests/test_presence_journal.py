"""The journals of presence, against every order in which announcements can come, or not come."""

import random
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from corekit_realtime.bus import Ask, Changes, Digest
from corekit_realtime.presence import journal as module
from corekit_realtime.presence.journal import Journal, decoded
from corekit_realtime.presence.peers import PATIENCE, Peers
from corekit_realtime.presence.rooms import Rooms
from corekit_realtime.protocol import ClientInfo

CHANNELS = ("one", "two")
CLIENTS = ("a", "b", "c", "d", "e")
Heard = Changes | Digest | Ask


class Node:
    """One that announces, one that follows, and all that is under way between them."""

    def __init__(self, left_max: int) -> None:
        self.truth: set[tuple[str, str]] = set()
        self.journal = Journal("node", left_max=left_max)
        self.rooms = Rooms(delay=1, hears=lambda _: True, gone=lambda *_: None, stir=lambda: None)
        self.peers = Peers(self.rooms, lambda node, since: self.way.append(Ask("other", node, since)), silence=15)
        self.way: list[Heard] = []
        self.now = 0.0

    @property
    def seen(self) -> set[tuple[str, str]]:
        """Return what the other one holds to be the truth."""
        return {(channel, info.client) for channel, info in self.rooms.all()}

    def change(self, channel: str, client: str) -> None:
        """Let somebody come, or go."""
        if (channel, client) in self.truth:
            self.truth.discard((channel, client))
            self.journal.leave(channel, client)
        else:
            self.truth.add((channel, client))
            self.journal.enter(channel, ClientInfo(user=f"usr {client}", client=client))

    def announce(self) -> None:
        """Send all there is to send."""
        while (message := self.journal.next()) is not None:
            self.way.append(message)

    def digest(self) -> None:
        """Say where the journal ends."""
        self.way.append(Digest("node", self.journal.last, self.journal.checksum, 15, greets=False))

    def arrive(self, message: Heard) -> None:
        """Let a message arrive where it is meant to."""
        if isinstance(message, Ask):
            self.journal.ask(message.since)
            self.announce()
        elif isinstance(message, Digest):
            self.peers.compare(message, self.now)
        else:
            self.peers.changed(message, self.now)

    def settle(self) -> None:
        """Let everything arrive, in its order."""
        while self.way:
            self.arrive(self.way.pop(0))


steps = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(CHANNELS), st.sampled_from(CLIENTS)),
    st.tuples(st.sampled_from(["announce", "digest", "wait"])),
    st.tuples(st.sampled_from(["arrive", "repeat", "lose"]), st.integers(0, 30)),
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a message hold few changes, so that an answer has several."""
    monkeypatch.setattr(module, "CHANGES_MAX", 3)


@pytest.mark.usefixtures("short")
@settings(max_examples=800, deadline=None)
@given(left_max=st.integers(1, 4), told=st.lists(steps, max_size=60), seed=st.integers())
def test_the_next_digest_ends_in_the_truth_whatever_came_before(
    left_max: int, told: list[tuple[str, str, str]], seed: int
) -> None:
    node = Node(left_max)
    for what, *more in told:
        _step(node, what, *more)
    order = random.Random(seed)  # noqa: S311  # no secret
    order.shuffle(node.way)
    for message in [one for one in node.way if order.random() < 0.5]:
        node.arrive(message)  # the answers to these may be lost as well
    node.way.clear()
    node.now += PATIENCE
    node.announce()
    node.digest()
    node.settle()
    assert node.seen == node.truth


def _step(node: Node, what: str, *more: str | int) -> None:
    if what == "change":
        node.change(*map(str, more))
    elif what == "announce":
        node.announce()
    elif what == "digest":
        node.digest()
    elif what == "wait":
        node.now += PATIENCE
    elif node.way:
        place = int(more[0]) % len(node.way)
        message = node.way[place] if what == "repeat" else node.way.pop(place)
        if what != "lose":
            node.arrive(message)


def test_who_knows_all_is_told_the_news_alone_and_who_comes_late_is_told_all() -> None:
    node = Node(left_max=2)
    for client in CLIENTS:
        node.change("one", client)
    node.announce()
    assert [len(decoded(message.changes)) for message in node.way if isinstance(message, Changes)] == [5]
    node.settle()
    node.change("one", "a")
    node.announce()
    (news,) = node.way
    assert isinstance(news, Changes)
    assert [(one.channel, one.info) for one in decoded(news.changes)] == [("one", ClientInfo(client="a"))]
    node.way.clear()
    for _ in range(2):  # more leaves than are kept
        node.change("one", "b")
    for client in "cd":
        node.change("one", client)
    assert node.journal.next() is not None
    node.digest()
    node.settle()
    assert node.seen == node.truth == {("one", "b"), ("one", "e")}


def test_who_missed_something_asks_for_that_alone() -> None:
    node = Node(left_max=2)
    for client in CLIENTS:
        node.change("one", client)
        node.announce()
    del node.way[2]
    while isinstance(node.way[0], Changes):
        node.arrive(node.way.pop(0))
    assert node.way == [Ask("other", "node", 2)]
    node.settle()
    assert node.seen == node.truth


def test_who_is_behind_what_is_kept_begins_anew() -> None:
    node = Node(left_max=2)
    for client in (*CLIENTS, *CLIENTS):
        node.change("one", client)
    node.journal.ask(0)
    assert [message.since for message in iter(node.journal.next, None)] == [0]
    node.journal.ask(7)
    assert [message.since for message in iter(node.journal.next, None)] == [0]
    node.journal.ask(8)
    assert [message.since for message in iter(node.journal.next, None)] == [8]


def test_what_is_known_is_not_asked_for() -> None:
    node = Node(left_max=9)
    node.change("one", "a")
    node.announce()
    node.settle()
    node.digest()
    node.arrive(node.way.pop())
    assert node.way == []


def test_asking_is_not_repeated_while_the_answer_may_be_under_way() -> None:
    node = Node(left_max=9)
    node.change("one", "a")
    for seconds, asked in ((0.0, 1), (PATIENCE / 2, 1), (PATIENCE, 2)):
        node.now = seconds
        node.digest()
        node.arrive(node.way.pop())
        assert len(node.way) == asked, seconds


def test_equal_numbers_of_other_people_are_noticed() -> None:
    """Red where the checksum is an XOR of CRCs: those of two clients in two channels cancel each other out."""
    journals = [Journal("node"), Journal("node")]
    for channel in CHANNELS:
        for client in ("a", "b"):
            journals[0].enter(channel, ClientInfo(user="u", client=client))
    assert journals[0].checksum != journals[1].checksum


def test_a_message_has_a_size() -> None:
    journal, number = Journal("node"), count()
    for _ in range(100):
        journal.enter("one", ClientInfo(user="u", client=str(next(number)), conn_info=Raw(b'"%s"' % (b"x" * 20_000))))
    sizes = []
    while (message := journal.next()) is not None:
        sizes.append(len(bytes(message.changes)))
    assert sum(sizes) > 2_000_000
    assert max(sizes) < 200_000
