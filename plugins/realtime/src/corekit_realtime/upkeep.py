"""What a node looks at again and again: whether its positions are the log's, and whether people may still be here."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from corekit.context import Context
from corekit.contracts.realtime import ChannelLog
from corekit.errors import Problem
from corekit.watch.logs import get_logger
from corekit_realtime.asked import grant, identify
from corekit_realtime.channel import Channel, State
from corekit_realtime.codes import UNSUBSCRIBED, Ending, Refusal
from corekit_realtime.connection import Connection
from corekit_realtime.node import PURPOSE, Node

_BATCH = 500


@runtime_checkable
class Positions(Protocol):
    """A log that tells many positions at once."""

    async def positions(self, ctx: Context, channels: list[UUID]) -> Mapping[UUID, tuple[str, int]]:
        """Return (epoch, last offset) by channel."""
        ...


class Upkeep:
    """Repairs what signals lost."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._log = get_logger("corekit.realtime")

    async def check_positions(self) -> None:
        """Compare every so often, until cancelled."""
        while True:
            await asyncio.sleep(self._node.settings.position_check)
            await self.compare_now()

    def begin_comparing(self) -> None:
        """Compare beside what goes on, and find the other nodes again: the bus was away."""
        self._node.presences.greet()
        self._node.tasks.spawn(self.compare_now(), "compare")

    async def compare_now(self) -> None:
        """Compare once; a lost database must not end the checks."""
        try:
            await self.compare()
        except Exception as error:  # noqa: BLE001  # whatever a log raises
            self._log.warning("position_check_failed", error=f"{type(error).__name__}: {error}")

    async def compare(self) -> None:
        """Have gaps read that no publication has shown."""
        by_log: dict[int, tuple[ChannelLog, list[Channel]]] = {}
        for channel in self._node.channels.all():
            if channel.log is not None and channel.sequencer is not None and channel.sequencer.started:
                by_log.setdefault(id(channel.log), (channel.log, []))[1].append(channel)
        for log, channels in by_log.values():
            for start in range(0, len(channels), _BATCH):
                await self._compare(log, channels[start : start + _BATCH])

    async def reauthorise(self) -> None:
        """Ask about everybody again, one after the other, until cancelled."""
        interval = self._node.settings.reauthorise
        while True:
            found = [connection for connection in self._node.connections.all() if connection.connected]
            if not found:
                await asyncio.sleep(interval)
            for connection in found:
                await asyncio.sleep(interval / len(found))
                if connection.closing is None:
                    await self.ask_again(connection)

    async def ask_again(self, connection: Connection) -> None:
        """Close a connection whose token is refused by now; end subscriptions that are no longer allowed."""
        try:
            await identify(self._node.kit, connection.stranger(), connection.token)
            await self._subscriptions(connection)
        except Refusal:
            return  # an expired token: the client is due to refresh it
        except Ending as ending:
            connection.close(ending.close)
        except Exception as error:  # noqa: BLE001  # a lost database throws nobody out
            self._log.warning("reauthorisation_failed", error=f"{type(error).__name__}: {error}")

    async def _compare(self, log: ChannelLog, channels: Sequence[Channel]) -> None:
        async with self._node.kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
            if isinstance(log, Positions):
                known = await log.positions(ctx, [channel.id for channel in channels])
            else:
                known = {channel.id: await log.position(ctx, channel.id) for channel in channels}
        for channel in channels:
            sequencer = channel.sequencer
            if sequencer is None or sequencer.closed or channel.id not in known:
                continue
            epoch, last = known[channel.id]
            if epoch != sequencer.epoch:
                self._node.reset(channel)
            else:
                sequencer.learn(last)

    async def _subscriptions(self, connection: Connection) -> None:
        theirs = [found for found in connection.subscriptions.values() if not found.channel.namespace.server_side]
        if not theirs:
            return
        async with connection.fresh_caller().begin(readonly=True) as ctx:
            for subscription in theirs:
                place = self._node.namespaces.parse(subscription.channel.name)
                try:
                    await grant(ctx, place, subscription.data)
                except (Refusal, Problem) as refusal:
                    refused = isinstance(refusal, Refusal) or not refusal.temporary
                    if refused and subscription.state is not State.ENDED:
                        self._node.end(connection, subscription, UNSUBSCRIBED)
