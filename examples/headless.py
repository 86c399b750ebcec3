"""Chat with no HTTP at all: two accounts, a conversation, and a listener, in one asyncio program."""

import asyncio
import tempfile

from corekit import Actor, Context, Corekit, Plugin, Settings, on
from corekit.contracts.auth import Auth
from corekit.contracts.messaging import CreateConversation, MessageSent, Messaging, PostMessage
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_realtime import RealtimePlugin


class EchoPlugin(Plugin[Settings]):
    """Says on the terminal what was sent."""

    name = "echo"

    def __init__(self) -> None:
        super().__init__(Settings())
        self.heard = asyncio.Event()

    @on(MessageSent)
    async def say(self, ctx: Context, event: MessageSent) -> None:
        """Hear of a message after its commit."""
        print(f"{ctx.now():%H:%M}: message #{event.seq} is stored")
        self.heard.set()


async def main(folder: str) -> None:
    """Let Alice write to Bob."""
    echo = EchoPlugin()
    async with Corekit([AuthPlugin(), RealtimePlugin(), ChatPlugin(), echo], data_dir=folder) as kit:
        auth, messaging = kit.get(Auth), kit.get(Messaging)
        alice = await auth.sign_up(kit.caller(), email="alice@example.com", password="correct horse battery")
        bob = await auth.sign_up(kit.caller(), email="bob@example.com", password="staple horse battery")
        async with kit.context(Actor(alice.user_id)) as ctx:
            request = CreateConversation(kind="direct", with_=str(bob.user_id))
            conversation, _ = await messaging.create(ctx, request)
        caller = kit.caller(Actor(alice.user_id))
        sent = await messaging.send(caller, conversation.id, PostMessage(client_id="first", body="hello"))
        async with kit.context(Actor(bob.user_id), readonly=True) as ctx:
            page = await messaging.history(ctx, conversation.id)
        print(f"bob reads #{sent.seq}: {page.items[0].body}")
        await asyncio.wait_for(echo.heard.wait(), 5)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(main(place))
