"""The links themselves: what they begin with, and what they are bound to."""

from datetime import timedelta
from uuid import uuid4

import pytest

from corekit.data.crypto import Keyring
from corekit.testing import FakeClock
from corekit_payments import PaymentsSettings
from corekit_payments.checkout.links import Links


async def test_an_address_that_is_none_ends_the_start() -> None:
    for wrong in ("localhost:8000", "http://localhost:8000/", "https://", "https://a b", "javascript:alert(1)"):
        with pytest.raises(Exception, match="external_url"):
            PaymentsSettings(external_url=wrong)
    PaymentsSettings(external_url="https://shop.example/api")


def test_links_are_bound_to_payment_and_time() -> None:
    """Red when the MAC does not cover the whole token, or is not compared."""
    keyring = Keyring("a", {"a": b"k" * 32}, b"i" * 32)
    other = Keyring("a", {"a": b"k" * 32}, b"j" * 32)
    links, now = Links(keyring), FakeClock().now()
    payment = uuid4()
    link = links.make(payment, now + timedelta(hours=1))
    assert (link.payment, link.expires_at) == (payment, (now + timedelta(hours=1)).replace(microsecond=0))
    assert links.read(link.token) == link
    assert links.make(payment, now).token != links.make(payment, now).token
    assert links.version(link, links.form(link, 7)) == 7
    with pytest.raises(ValueError, match="ours"):
        Links(other).read(link.token)
    for at, character in enumerate(link.token):
        with pytest.raises(ValueError, match="ours"):
            links.read(link.token[:at] + ("A" if character != "A" else "B") + link.token[at + 1 :])
