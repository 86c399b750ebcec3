"""Who is in each channel, whichever node they are connected to, and what is to be told about it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from corekit_realtime.protocol import ClientInfo, Joined, Push, Reply

Change = Literal["join", "leave"]
Key = tuple[str, str]  # channel, client
Gone = Callable[[str, ClientInfo, float], None]
_NOBODY: dict[str, ClientInfo] = {}


class Rooms:
    """A device that lost its connection stays for `delay` seconds, or until its user is back.

    `hears` says whether joins and leaves of a channel are told here at all, `gone` is called for each that went, with
    the seconds since then, `stir` when there is something to `flush`.
    """

    def __init__(self, *, delay: float, hears: Callable[[str], bool], gone: Gone, stir: Callable[[], None]) -> None:
        self._delay = delay
        self._hears = hears
        self._gone = gone
        self._stir = stir
        self._rooms: dict[str, dict[str, ClientInfo]] = {}
        self._users: dict[str, int] = {}
        self._due: OrderedDict[Key, float] = OrderedDict()
        self._leaving: dict[Key, set[str]] = {}  # by channel and user
        self._untold: dict[str, dict[str, tuple[Change, ClientInfo]]] = {}

    def enter(self, channel: str, info: ClientInfo) -> None:
        """Add a device; it takes the place of one of the same user that vanished a moment ago."""
        room = self._rooms.setdefault(channel, {})
        known = info.client in room
        if known:
            self._stay(channel, info)
        room[info.client] = info
        for client in self._leaving.pop((channel, info.user), ()):
            self._remove(channel, client)
        self._users.pop(channel, None)
        if not known:
            self._note(channel, "join", info)

    def leave(self, channel: str, client: str, *, at_once: bool) -> None:
        """Remove a device: at once where it said so, later where its connection was lost."""
        info = self.clients(channel).get(client)
        if info is None:
            return
        if at_once or not self._delay:
            self._remove(channel, client)
        elif (channel, client) not in self._due:
            self._leaving.setdefault((channel, info.user), set()).add(client)
            self._due[channel, client] = asyncio.get_running_loop().time() + self._delay

    def check(self, now: float) -> None:
        """Remove those whose time is over."""
        while self._due and next(iter(self._due.values())) <= now:
            self._remove(*next(iter(self._due)), ago=self._delay)

    def clients(self, channel: str) -> dict[str, ClientInfo]:
        """Return who is there, by client."""
        return self._rooms.get(channel, _NOBODY)

    def users(self, channel: str) -> int:
        """Count different users."""
        if (found := self._users.get(channel)) is None:
            found = len({info.user for info in self.clients(channel).values()})
            if found:
                self._users[channel] = found
        return found

    def all(self) -> list[tuple[str, ClientInfo]]:
        """Return everybody."""
        return [(channel, info) for channel, room in self._rooms.items() for info in room.values()]

    def flush(self) -> dict[str, list[Reply]]:
        """Return what is to be told, by channel."""
        untold, self._untold = self._untold, {}
        return {
            channel: [Reply(push=_push(channel, what, Joined(info))) for what, info in changes.values()]
            for channel, changes in untold.items()
            if changes and self._hears(channel)
        }

    def _remove(self, channel: str, client: str, ago: float = 0.0) -> None:
        room = self._rooms[channel]
        info = room[client]
        self._stay(channel, info)
        del room[client]
        self._users.pop(channel, None)
        if not room:
            del self._rooms[channel]
        self._gone(channel, info, ago)
        self._note(channel, "leave", info)

    def _stay(self, channel: str, info: ClientInfo) -> None:
        """Have nobody wait for a device to leave."""
        self._due.pop((channel, info.client), None)
        if (leaving := self._leaving.get((channel, info.user))) is not None:
            leaving.discard(info.client)
            if not leaving:
                del self._leaving[channel, info.user]

    def _note(self, channel: str, what: Change, info: ClientInfo) -> None:
        """Collect a change; one that undoes another untold one takes both away."""
        if not self._hears(channel):
            return
        untold = self._untold.setdefault(channel, {})
        other = untold.pop(info.client, None)
        if other is None or other[0] == what:
            untold[info.client] = (what, info)
        self._stir()


def _push(channel: str, what: Change, who: Joined) -> Push:
    return Push(channel=channel, join=who) if what == "join" else Push(channel=channel, leave=who)
