"""Chat beside a Django application, in its `asgi.py`: corekit answers below /corekit, Django everything else."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from corekit import Corekit
from corekit.contracts.messaging import CreateConversation, Messaging
from corekit.web import beside
from corekit_auth import AuthPlugin
from corekit_chat import ChatPlugin
from corekit_realtime import RealtimePlugin

kit = Corekit([AuthPlugin(), RealtimePlugin(), ChatPlugin()])
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only-here")
)


async def found(request: HttpRequest, name: str) -> JsonResponse:
    """Open a room for a team, as the user whom the bearer token names."""
    caller = await kit.authenticate(request.headers["Authorization"].removeprefix("Bearer "))
    async with caller.begin() as ctx:
        room, _ = await ctx.get(Messaging).create(ctx, CreateConversation(kind="group", title=name))
    return JsonResponse({"room": room.id})


urlpatterns = [path("teams/<str:name>", found)]
application = beside(get_asgi_application(), kit)
