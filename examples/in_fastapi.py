"""Chat inside a FastAPI application: one process, one database, your own routes beside it."""

from typing import Annotated

from fastapi import FastAPI, Header

from corekit import Corekit
from corekit.contracts.messaging import CreateConversation, Messaging
from corekit.web import asgi
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_realtime import RealtimePlugin

kit = Corekit([AuthPlugin(), RealtimePlugin(), ChatPlugin()])
app = FastAPI(lifespan=kit.lifespan)
app.mount("/corekit", asgi(kit))


@app.post("/teams/{name}")
async def found(name: str, authorization: Annotated[str, Header()]) -> dict[str, str]:
    """Open a room for a team, in a transaction that your own statements may share (`ctx.session`)."""
    caller = await kit.authenticate(authorization.removeprefix("Bearer "))
    async with caller.begin() as ctx:
        room, _ = await ctx.get(Messaging).create(ctx, CreateConversation(kind="group", title=name))
    return {"room": room.id}
