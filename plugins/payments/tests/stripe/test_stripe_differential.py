"""Stripe's adapter at localstripe beside the sandbox: the same stories have to say the same, step by step.

What localstripe cannot tell is left out: keys, refunds of more than was taken, captures in several parts, disputes. It
captures what was released, and fails at a refund of what nobody has paid. What the two show differently is left out
too: a hold that was taken or released shows it at Stripe, and at the sandbox the capture and the release do.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from stripe_story import STORIES, Teller  # beside this file
from stripe_till import KEY

from corekit.contracts.payments import CardMethod, Evidence, Method, TokenMethod, UseStripeSdk
from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit_payments.sandbox import Journal, Sandbox
from corekit_payments.stripe.line import Line
from corekit_payments.stripe.provider import StripeProvider

_CARDS = {"ok": "pm_card_visa", "declined": "pm_card_chargeCustomerFail"}
_TOKENS = {"ok": "tok_ok", "declined": "tok_declined", "3ds": "tok_3ds"}
_ASKS_FIRST = "4000002760003184"


@pytest.fixture
async def cards(double: str, clock: FakeClock) -> AsyncGenerator[Teller]:
    line = Line(Secret(KEY), double)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=double, headers=headers, trust_env=False) as http:

        async def means(how: str) -> Method:
            if how != "3ds":
                return CardMethod(token=_CARDS[how])
            card = {"number": _ASKS_FIRST, "exp_month": "12", "exp_year": "2030", "cvc": "123"}
            form = {"type": "card", **{f"card[{name}]": value for name, value in card.items()}}
            return CardMethod(token=(await http.post("/v1/payment_methods", data=form)).json()["id"])

        async def decide(waits: Evidence, approve: bool) -> None:
            assert isinstance(waits.next_action, UseStripeSdk)
            said = {"client_secret": waits.next_action.client_secret, "success": str(approve).lower()}
            url = f"/v1/payment_intents/{waits.provider_ref}/_authenticate"
            (await http.post(url, data=said)).raise_for_status()

        yield Teller(StripeProvider("cards", line, clock), means, decide)
    await line.close()


@pytest.fixture
def sandbox(tmp_path: Path, clock: FakeClock) -> Teller:
    provider = Sandbox("sandbox", Journal(tmp_path / "sandbox.db"), clock)

    async def means(how: str) -> Method:
        return TokenMethod(token=_TOKENS[how])

    async def decide(waits: Evidence, approve: bool) -> None:
        await provider.decide(waits.provider_ref or "", approve=approve)

    return Teller(provider, means, decide)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_they_say_the_same(story: Callable[[Teller], Awaitable[None]], cards: Teller, sandbox: Teller) -> None:
    await story(cards)
    await story(sandbox)
    assert cards.seen == sandbox.seen
