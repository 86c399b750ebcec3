"""Where a developer is the payer of the sandbox: approves or refuses, and the sandbox then tells by webhook."""

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath

from corekit.context import Caller
from corekit.contracts.payments import Evidence, OutcomeUnknown
from corekit.errors import NotFound
from corekit.web import Who, public
from corekit_payments.checkout.pages import HEADERS, refused_page, stand_in_page
from corekit_payments.checkout.refusals import FormStale
from corekit_payments.inbox import Inbox
from corekit_payments.providers import Providers
from corekit_payments.sandbox import Sandbox

PATH = "/payments/v1/sandbox"
_VERDICTS = {"approve": True, "refuse": False}
_FORM_MAX = 256  # bytes


class SandboxRoutes(Controller):
    """The page and its form; served in the environment `dev` alone."""

    path = PATH
    guards = [public("the sandbox moves no money, and an object's reference cannot be guessed")]
    include_in_schema = False
    request_max_body_size = _FORM_MAX
    opt = {"bearer": "own"}

    @get("/{instance:str}/{ref:str}")
    async def page(self, caller: Who, instance: FromPath[str], ref: FromPath[str]) -> Response[str]:
        """Show what waits for the payer."""
        found = await _fetched(_sandbox(caller, instance), ref)
        amount = "" if found.amount is None else f"{found.amount.format()} {found.amount.currency}"
        return stand_in_page(amount, waiting=found.state == "requires_action")

    @post("/{instance:str}/{ref:str}")
    async def decide(
        self, caller: Who, request: Request[Any, Any, Any], instance: FromPath[str], ref: FromPath[str]
    ) -> Response[str] | Response[None]:
        """Approve or refuse; whoever does it twice finds it decided."""
        sandbox, fields = _sandbox(caller, instance), dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        if (verdict := _VERDICTS.get(fields.get("verdict", ""))) is None:
            return refused_page(FormStale())
        if (await _fetched(sandbox, ref)).state == "requires_action":
            with suppress(OutcomeUnknown):  # somebody else was quicker
                await sandbox.decide(ref, approve=verdict)
        if (told := await sandbox.last_notice(ref)) is not None:
            await caller.kit.get(Inbox).take(caller, instance, *told)
        return Response(None, status_code=303, headers={"Location": f"{PATH}/{instance}/{ref}", **HEADERS})


def _sandbox(caller: Caller, instance: str) -> Sandbox:
    found = caller.kit.get(Providers).named(instance) if caller.kit.env == "dev" else None
    if not isinstance(found, Sandbox):
        raise NotFound
    return found


async def _fetched(sandbox: Sandbox, ref: str) -> Evidence:
    try:
        return await sandbox.fetch(ref)
    except OutcomeUnknown:
        raise NotFound from None
