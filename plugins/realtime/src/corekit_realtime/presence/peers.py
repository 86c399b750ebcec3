"""The other nodes, as far as they have told: their clients, up to which number, and when they were last heard."""

from collections.abc import Callable, Iterable

from corekit_realtime.bus.messages import Changes, Digest
from corekit_realtime.presence.journal import added, decoded, removed
from corekit_realtime.presence.rooms import Key, Rooms

PATIENCE = 1.0  # seconds for an answer before a node is asked again

Ask = Callable[[str, int], None]


class Peer:
    """What is known of one node."""

    __slots__ = ("asked_at", "checksum", "entries", "heard_at", "known", "silence", "unconfirmed", "verified_at")

    def __init__(self, now: float, silence: float) -> None:
        self.heard_at = now
        self.silence = silence
        self.known = 0
        self.entries: set[Key] = set()
        self.checksum = 0
        self.asked_at: float | None = None
        self.verified_at = -PATIENCE
        self.unconfirmed: set[Key] = set()  # known from before, while everything is told anew


class Peers:
    """Follows the journals of all other nodes, and asks where something is missing."""

    def __init__(self, rooms: Rooms, ask: Ask, *, silence: float) -> None:
        self._rooms = rooms
        self._ask = ask
        self._silence = silence
        self._peers: dict[str, Peer] = {}
        self._orphans: dict[Key, frozenset[str]] = {}  # and who was there to hear of it

    def __len__(self) -> int:
        return len(self._peers)

    def changed(self, heard: Changes, now: float) -> None:
        """Follow: what is known already is dropped, and where something is missing the node is asked."""
        peer = self._heard(heard.origin, now)
        if heard.since == 0 and peer.asked_at is not None:
            peer.known, peer.unconfirmed = 0, set(peer.entries)
        if heard.since > peer.known:
            self._behind(heard.origin, peer, peer.known, now)
            return
        if heard.until <= peer.known:
            return
        for change in decoded(heard.changes):
            key = change.channel, change.info.client
            peer.unconfirmed.discard(key)
            if change.info.user:
                if key not in peer.entries:
                    peer.entries.add(key)
                    peer.checksum = added(peer.checksum, *key)
                self._orphans.pop(key, None)
                self._rooms.enter(change.channel, change.info)
            else:
                self._drop(peer, key)
        peer.known = heard.until
        if peer.known < heard.last:
            peer.asked_at = peer.asked_at and now
            return
        peer.asked_at = None
        for key in peer.unconfirmed:
            self._drop(peer, key)
        peer.unconfirmed = set()
        self._verify(heard, peer, now)

    def compare(self, heard: Digest, now: float) -> bool:
        """Compare what is known with what the node says; tell whether it is new here."""
        new = heard.origin not in self._peers
        peer = self._heard(heard.origin, now)
        peer.silence = heard.silence
        if peer.known < heard.last:
            self._behind(heard.origin, peer, peer.known, now)
        else:
            self._verify(heard, peer, now)
        return new

    def farewell(self, node: str) -> None:
        """Give the clients of a node that stops the time to come back elsewhere."""
        peer = self._peers.pop(node, None)
        self._forget(peer.entries if peer else (), at_once=False)

    def check(self, now: float) -> None:
        """Forget those that have been silent for too long, and all their clients."""
        silent = [node for node, peer in self._peers.items() if now - peer.heard_at > peer.silence]
        for gone in [self._peers.pop(node) for node in silent]:
            self._forget(gone.entries, at_once=True)

    def inherits(self, key: Key, node: str) -> bool:
        """Tell, once, whether it is for this node to speak of a device whose own node is gone."""
        if key not in self._orphans:
            return False
        heirs = self._orphans.pop(key)
        return node <= min((one for one in self._peers if one in heirs), default=node)

    def pardon(self, seconds: float) -> None:
        """Count a time against nobody: this process slept."""
        for peer in self._peers.values():
            peer.heard_at += seconds

    def _heard(self, node: str, now: float) -> Peer:
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = Peer(now, self._silence)
        peer.heard_at = now
        return peer

    def _verify(self, heard: Changes | Digest, peer: Peer, now: float) -> None:
        """Have everything told anew where it is not the truth: an old message came at the wrong time."""
        wrong = peer.known == heard.last and peer.checksum != heard.checksum
        if wrong and now - peer.verified_at >= PATIENCE:
            peer.verified_at = now
            self._behind(heard.origin, peer, 0, now)

    def _behind(self, node: str, peer: Peer, since: int, now: float) -> None:
        if peer.asked_at is None or now - peer.asked_at >= PATIENCE:
            peer.asked_at = now
            self._ask(node, since)

    def _drop(self, peer: Peer, key: Key) -> None:
        if key in peer.entries:
            peer.entries.discard(key)
            peer.checksum = removed(peer.checksum, *key)
            self._rooms.leave(*key, at_once=True)

    def _forget(self, entries: Iterable[Key], *, at_once: bool) -> None:
        heirs = frozenset(self._peers)
        for channel, client in entries:
            if client in self._rooms.clients(channel):
                self._orphans[channel, client] = heirs
            self._rooms.leave(channel, client, at_once=at_once)
