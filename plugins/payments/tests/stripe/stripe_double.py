"""Runs localstripe on this machine alone, from scratch and without its file; started by its own Python, never ours.

What it does not know is filled in here and nowhere else: members that it refuses and Stripe takes are left out,
a capture's metadata is merged, and an intent says what it has received. It ends with its standard input.
"""

import asyncio
import sys
from typing import Any

from aiohttp import web
from localstripe import resources, server

UNKNOWN = frozenset({
    "allowed_payment_method_types", "return_url", "cancellation_reason", "final_capture", "reason", "created",
})  # fmt: skip

posted, unflattened = server.get_post_data, server.unflatten_data


async def get_post_data(request: web.Request, remove_auth: bool = True) -> Any:  # noqa: FBT002  # its own signature
    data = await posted(request, remove_auth=remove_auth) or {}
    if request.path.endswith("/capture"):
        _note(request.path.split("/")[-2], data.get("amount_to_capture"), data.pop("metadata", {}))
    return {name: value for name, value in data.items() if name not in UNKNOWN}


def unflatten_data(given: Any) -> Any:
    return {name: value for name, value in unflattened(given).items() if name not in UNKNOWN}


def _note(intent: str, amount: str | None, metadata: dict[str, str]) -> None:
    """Keep what a capture brings along, where there is something to capture."""
    found = resources.store.get(f"payment_intent:{intent}")
    if found is not None and found.status == "requires_capture":
        found._update(metadata=metadata)
        found._taken = int(amount or found.amount)


def amount_received(intent: Any) -> int:
    return getattr(intent, "_taken", intent.amount) if intent.status == "succeeded" else 0


async def main() -> None:
    resources.Store.dump_to_disk = lambda _: None
    server.get_post_data, server.unflatten_data = get_post_data, unflatten_data
    resources.PaymentIntent.amount_received = property(amount_received)
    runner = web.AppRunner(server.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
