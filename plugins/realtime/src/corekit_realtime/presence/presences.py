"""Presence on all nodes: each announces its own clients, follows the others, and says regularly that it is there."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from corekit_realtime.bus import Ask, Bus, Changes, Digest, Farewell, PresenceMessage, Receive
from corekit_realtime.presence.journal import Journal
from corekit_realtime.presence.peers import Peers
from corekit_realtime.presence.rooms import Rooms
from corekit_realtime.protocol import ClientInfo, Reply
from corekit_realtime.settings import RealtimeSettings

OWN = "user:"  # the channels in which each of a user's devices is
Offline = Callable[[str, float], None]
SILENCE = 3  # digests that may be missing
_LATELY = 1.0  # seconds in which nodes may not have heard yet of each other's leaves
_PACE = 0.02  # seconds between two messages of a long answer: publications want to pass too


class Presences:
    """Who is where. Without another node nothing is written down and nothing encoded."""

    def __init__(
        self,
        origin: str,
        bus: Bus,
        settings: RealtimeSettings,
        *,
        hears: Callable[[str], bool],
        tell: Callable[[str, list[Reply]], None],
        offline: Offline,
    ) -> None:
        self._origin = origin
        self._bus = bus
        self._tell = tell
        self._offline = offline
        self._shard = settings.shards  # one more than publications have
        self._tick = settings.join_leave_every
        self._every = settings.presence_digest
        self._rooms = Rooms(delay=settings.leave_delay, hears=hears, gone=self._gone, stir=self._stir)
        self._peers = Peers(self._rooms, self._ask, silence=SILENCE * self._every)
        self._journal: Journal | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sender: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._greets = True
        self._checked_at: float | None = None
        self._lately: OrderedDict[str, float] = OrderedDict()  # whose device left here while another was known
        self._stopped = False

    def start(self, receive: Receive) -> None:
        """Hear the others, and say that this node is there."""
        self._bus.subscribe(self._shard, receive)
        self.greet()

    def greet(self) -> None:
        """Announce this node, and have the others do so too: it has just come, or its bus is back."""
        self._greets, self._due = True, 0.0
        self._stir()

    def stop(self) -> None:
        """Say goodbye, and tell nothing more."""
        if not self._stopped and self._talking() is not None:
            self._publish(Farewell(self._origin))
        self._stopped = True
        for timer in (self._timer, self._sender):
            if timer is not None:
                timer.cancel()

    def enter(self, channel: str, info: ClientInfo) -> None:
        """Add a device of this node."""
        journal = self._journaling()
        self._rooms.enter(channel, info)
        if journal is not None:
            journal.enter(channel, info)
            self._stir()

    def leave(self, channel: str, client: str, *, at_once: bool) -> None:
        """Remove a device of this node: at once where it said so, later where its connection was lost."""
        self._rooms.leave(channel, client, at_once=at_once)

    def clients(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is there, on any node."""
        return self._rooms.clients(channel)

    def users(self, channel: str) -> int:
        """Count different users, on all nodes."""
        return self._rooms.users(channel)

    def check(self) -> None:
        """Remove those whose time is over, and say that this node is there."""
        now = asyncio.get_running_loop().time()
        self._rooms.check(now)
        while self._lately and now - next(iter(self._lately.values())) >= _LATELY:
            self._lately.popitem(last=False)
        if self._bus.alone and not self._peers:
            return
        slept = now - self._checked_at if self._checked_at is not None else 0.0
        self._checked_at = now
        if slept > self._every:
            self._peers.pardon(slept)
        self._peers.check(now)
        if now >= self._due:
            self._flush()

    def receive(self, heard: PresenceMessage) -> None:
        """Hear from another node."""
        journal = self._journaling()  # before somebody else's clients are here
        now = asyncio.get_running_loop().time()
        if isinstance(heard, Changes):
            self._peers.changed(heard, now)
        elif isinstance(heard, Farewell):
            self._peers.farewell(heard.origin)
        elif isinstance(heard, Digest):
            if self._peers.compare(heard, now) or heard.greets:
                self._due = 0.0
                self._stir()
        elif heard.node == self._origin and journal is not None:
            journal.ask(heard.since)
            self._send()

    def _journaling(self) -> Journal | None:
        """Return the journal, which begins with the first other node: until then everybody is here."""
        if self._journal is None and not self._bus.alone:
            self._journal = Journal(self._origin)
            for channel, info in self._rooms.all():
                self._journal.enter(channel, info)
        return self._journal

    def _talking(self) -> Journal | None:
        """Return the journal, where somebody may hear of it now."""
        return None if self._bus.alone or not self._bus.ready else self._journaling()

    def _gone(self, channel: str, info: ClientInfo, ago: float) -> None:
        ours = self._journal is None or self._journal.leave(channel, info.client)
        if ours and self._journal is not None:
            self._stir()
        inherited = self._peers.inherits((channel, info.client), self._origin) and self._bus.ready
        if channel.startswith(OWN):
            self._departed(channel, info.user, ago, speaks=ours or inherited, ours=ours)

    def _departed(self, channel: str, user: str, ago: float, *, speaks: bool, ours: bool) -> None:
        """Tell of a user's last device, by each node that had one of the last: two may go at once on two nodes."""
        now = asyncio.get_running_loop().time()
        if self._rooms.clients(channel):
            if ours and not self._bus.alone:
                self._lately[channel] = now
            return
        if now - self._lately.pop(channel, -_LATELY) < _LATELY or speaks:
            self._offline(user, ago)

    def _stir(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._flush)

    def _flush(self) -> None:
        """Tell what has changed, here and elsewhere, and the digest when it is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for channel, replies in self._rooms.flush().items():
            self._tell(channel, replies)
        if (journal := self._talking()) is None:
            return
        self._send()
        now = asyncio.get_running_loop().time()
        if now >= self._due:
            self._due = now + self._every
            greets, self._greets = self._greets, False
            silence = SILENCE * self._every
            self._publish(Digest(self._origin, journal.last, journal.checksum, silence, greets))

    def _send(self) -> None:
        """Send one message of the journal, and the next one a moment later."""
        if self._sender is not None or (journal := self._talking()) is None:
            return
        if (message := journal.next()) is not None:
            self._publish(message)
            self._sender = asyncio.get_running_loop().call_later(_PACE, self._send_more)

    def _send_more(self) -> None:
        self._sender = None
        self._send()

    def _ask(self, node: str, since: int) -> None:
        self._publish(Ask(self._origin, node, since))

    def _publish(self, message: PresenceMessage) -> None:
        self._bus.publish(self._shard, msgspec.json.encode(message))
