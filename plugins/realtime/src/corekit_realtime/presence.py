"""Presence: who is in a channel, per device, without flaps and without storms."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from corekit_realtime.protocol import ClientInfo, Joined, Push, Reply

Change = Literal["join", "leave"]
Tell = Callable[[str, list[Reply]], None]


class Room:
    """The devices of one channel, those that just vanished, and what has not been told yet."""

    __slots__ = ("leaving", "present", "untold")

    def __init__(self) -> None:
        self.present: dict[str, ClientInfo] = {}
        self.leaving: set[str] = set()
        self.untold: dict[str, tuple[Change, ClientInfo]] = {}


class Presences:
    """All rooms of a node. A device that lost its connection stays for `delay` seconds, or until its user is back."""

    def __init__(self, tell: Tell, *, delay: float, every: float) -> None:
        self._tell = tell
        self._delay = delay
        self._every = every
        self._rooms: dict[str, Room] = {}
        self._due: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._changed: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, channel: str, info: ClientInfo) -> None:
        """Add a device; it takes the place of one of the same user that vanished a moment ago."""
        room = self._rooms.setdefault(channel, Room())
        for client in [gone for gone in room.leaving if room.present[gone].user == info.user]:
            self._remove(channel, client)
        room = self._rooms.setdefault(channel, room)
        room.present[info.client] = info
        self._note(channel, "join", info)

    def leave(self, channel: str, client: str, *, at_once: bool) -> None:
        """Remove a device: at once where it said so, later where its connection was lost."""
        room = self._rooms.get(channel)
        if room is None or client not in room.present:
            return
        if at_once or not self._delay:
            self._remove(channel, client)
        else:
            room.leaving.add(client)
            self._due[channel, client] = asyncio.get_running_loop().time() + self._delay

    def check(self) -> None:
        """Remove those whose time is over."""
        now = asyncio.get_running_loop().time()
        while self._due and next(iter(self._due.values())) <= now:
            (channel, client), _ = self._due.popitem(last=False)
            self._remove(channel, client)

    def clients(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is there."""
        room = self._rooms.get(channel)
        return {} if room is None else room.present

    def stop(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _remove(self, channel: str, client: str) -> None:
        self._due.pop((channel, client), None)
        room = self._rooms[channel]
        room.leaving.discard(client)
        info = room.present.pop(client)
        if not room.present:
            del self._rooms[channel]
        self._note(channel, "leave", info, room)

    def _note(self, channel: str, what: Change, info: ClientInfo, room: Room | None = None) -> None:
        """Collect a change; one that undoes another untold one takes both away."""
        room = room or self._rooms[channel]
        other = room.untold.pop(info.client, None)
        if other is None or other[0] == what:
            room.untold[info.client] = (what, info)
        self._changed.add(channel)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._flush)

    def _flush(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, set()
        for channel in changed:
            room = self._rooms.get(channel)
            if room is None:
                continue
            untold, room.untold = room.untold, {}
            replies = [Reply(push=_push(channel, what, Joined(info))) for what, info in untold.values()]
            if replies:
                self._tell(channel, replies)


def _push(channel: str, what: Change, who: Joined) -> Push:
    return Push(channel=channel, join=who) if what == "join" else Push(channel=channel, leave=who)
