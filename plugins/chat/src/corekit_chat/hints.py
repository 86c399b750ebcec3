"""Hints: tell members' inboxes that something happened in a conversation, coalesced and never on the hot path."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from sqlalchemy import select

from corekit.context import Context, Kit
from corekit.contracts.realtime import Realtime
from corekit.values import typeid
from corekit.watch.logs import get_logger
from corekit_chat.models import ConversationRow, MemberRow
from corekit_chat.settings import ChatSettings
from corekit_chat.wire import hint_publication

PURPOSE = "chat"
_BATCH = 200
_BREATH = 100  # publications between two turns of the loop


class Hints:
    """Collects conversations that changed and publishes their counters on each member's `user:` channel.

    A lost hint costs nothing: clients compare counters, not hints.
    """

    def __init__(self, kit: Kit, realtime: Realtime, settings: ChatSettings) -> None:
        self._kit = kit
        self._realtime = realtime
        self._settings = settings
        self._changed: set[UUID] = set()
        self._quiet_until: dict[UUID, float] = {}
        self._woken = asyncio.Event()
        self._log = get_logger("corekit.chat")

    def note(self, conversation: UUID) -> None:
        """Remember that something happened there."""
        self._changed.add(conversation)
        self._woken.set()

    def note_after(self, ctx: Context, conversation: UUID) -> None:
        """Remember it once this unit of work has committed."""

        async def later() -> None:
            self.note(conversation)

        ctx.on_commit(later)

    async def run(self) -> None:
        """Publish what was noted, until cancelled."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(self._settings.hint_interval)
            due = self._due()
            try:
                for start in range(0, len(due), _BATCH):
                    await self._publish(due[start : start + _BATCH])
            except Exception as error:  # noqa: BLE001  # a lost database must not end the hints
                self._log.warning("hints_failed", error=f"{type(error).__name__}: {error}", count=len(due))

    def _due(self) -> list[UUID]:
        """Take the conversations whose turn it is; large ones that had theirs lately wait."""
        now = asyncio.get_running_loop().time()
        self._quiet_until = {conv: until for conv, until in self._quiet_until.items() if until > now}
        due = [conversation for conversation in self._changed if conversation not in self._quiet_until]
        self._changed.difference_update(due)
        if not self._changed:
            self._woken.clear()
        return due

    async def _publish(self, conversations: Sequence[UUID]) -> None:
        statement = (
            select(
                ConversationRow.id,
                ConversationRow.last_seq,
                ConversationRow.message_count,
                ConversationRow.member_count,
                MemberRow.usr,
            )
            .join(MemberRow, MemberRow.conversation == ConversationRow.id)
            .where(ConversationRow.id.in_(conversations), MemberRow.left_at.is_(None))
            .order_by(ConversationRow.id)
        )
        async with self._kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
            found = (await ctx.session.execute(statement)).all()
        for (conversation, last_seq, message_count, member_count), rows in groupby(found, lambda row: row[:4]):
            if member_count > self._settings.large_members:
                quiet = self._settings.hint_interval_large
                self._quiet_until[conversation] = asyncio.get_running_loop().time() + quiet
            hint = hint_publication(conversation, last_seq, message_count)
            for index, row in enumerate(rows, 1):
                await self._realtime.publish(f"user:{typeid('usr', row.usr)}", hint)
                if index % _BREATH == 0:
                    await asyncio.sleep(0)
