"""A whole plugin: it changes a message before it is sent, and reacts after."""

import re

from msgspec.structs import replace

from corekit import Context, Plugin, Settings, implements, on
from corekit.contracts.messaging import Draft, MessageSent, Messaging, before_send
from corekit.contracts.realtime import Realtime
from corekit.values import typeid


class PoliteSettings(Settings, frozen=True):
    """`[polite]`: the words that are masked."""

    words: tuple[str, ...] = ("darn", "heck")


class PolitePlugin(Plugin[PoliteSettings]):
    """Masks rude words, and thanks the sender on their own channel."""

    name = "polite"
    requires = (Messaging, Realtime)

    @implements(before_send)
    async def mask(self, draft: Draft) -> Draft | None:
        rude = "|".join(map(re.escape, self.settings.words))
        return replace(draft, body=re.sub(rf"\b({rude})\b", "****", draft.body, flags=re.IGNORECASE))

    @on(MessageSent)
    async def thank(self, ctx: Context, event: MessageSent) -> None:
        await ctx.get(Realtime).publish(f"user:{typeid('usr', event.sender)}", b'{"t":"polite.thanks"}', ctx=ctx)
