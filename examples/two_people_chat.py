"""Two people sign up on a running server, find each other and chat in real time.

Start one with `corekit serve`, then run this. It uses httpx and the unmodified client `centrifuge-python`.
"""

import asyncio
import sys
from uuid import uuid4

import httpx
from centrifuge import Client, PublicationContext, SubscriptionEventHandler


class Screen(SubscriptionEventHandler):
    """What one person sees."""

    def __init__(self, name: str, done: asyncio.Event) -> None:
        self.name = name
        self.done = done

    async def on_publication(self, ctx: PublicationContext) -> None:
        event = ctx.pub.data
        if event["t"] == "message.created":
            print(f"{self.name} sees #{ctx.pub.offset}: {event['message']['body']}")
            if event["message"]["body"] == "bye":
                self.done.set()


async def sign_up(http: httpx.AsyncClient, name: str) -> dict[str, str]:
    """Make an account; where the address is confirmed at once, the answer is a session."""
    account = {"email": f"{name}-{uuid4().hex[:8]}@example.com", "password": f"{uuid4()}"}
    answer = await http.post("/auth/v1/signup", json=account)
    answer.raise_for_status()
    session = answer.json()
    return {"token": session["access_token"], "id": session["user"]["id"]}


async def main(base: str) -> None:
    """Let Alice and Bob talk."""
    done = asyncio.Event()
    async with httpx.AsyncClient(base_url=base) as http:
        alice, bob = await sign_up(http, "alice"), await sign_up(http, "bob")
        request = {"kind": "direct", "with": bob["id"]}
        answer = await http.post(
            "/chat/v1/conversations", json=request, headers={"Authorization": f"Bearer {alice['token']}"}
        )
        answer.raise_for_status()
        conversation = answer.json()["id"]
    socket = base.replace("http", "ws", 1) + "/connection/websocket"
    ann, ben = Client(socket, token=alice["token"], proxy=None), Client(socket, token=bob["token"], proxy=None)
    await asyncio.gather(ann.connect(), ben.connect())
    subscription = ben.new_subscription(f"conv:{conversation}", Screen("bob", done))
    await subscription.subscribe()
    await asyncio.gather(ann.ready(5), subscription.ready(5))
    for body in ("hello", "how are you?", "bye"):
        sent = await ann.rpc("message.send", {"conv": conversation, "client_id": uuid4().hex, "body": body})
        print(f"alice sent #{sent.data['seq']}, and it is stored")
    await asyncio.wait_for(done.wait(), 5)
    await asyncio.gather(ann.disconnect(), ben.disconnect())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"))
