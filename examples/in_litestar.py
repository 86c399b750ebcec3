"""Chat inside a Litestar application: native routes, dependencies and guards."""

from litestar import Litestar, post
from litestar.params import FromPath

from corekit import Corekit
from corekit.contracts.messaging import Conversation, CreateConversation, Messaging
from corekit.web import CorekitPlugin, Ctx, requires
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_realtime import RealtimePlugin

kit = Corekit([AuthPlugin(), RealtimePlugin(), ChatPlugin()])


@post("/teams/{name:str}", guards=[requires()])
async def found(name: FromPath[str], ctx: Ctx) -> Conversation:
    """Open a room for a team; the context commits before the answer leaves."""
    room, _ = await ctx.get(Messaging).create(ctx, CreateConversation(kind="group", title=name))
    return room


app = Litestar([found], plugins=[CorekitPlugin(kit)])
