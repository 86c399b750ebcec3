"""What these tests share: every call that any of them makes is held against the SDK's description of it."""

import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stripe_localstripe import running  # beside this file
from stripe_shapes import complaints
from stripe_stand_in import KEY, NOW, StandIn, serving

from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit_payments.stripe.line import Line
from corekit_payments.stripe.provider import StripeProvider

Call = tuple[str, str, dict[str, Any], str | None, str | None]


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """Record every call, and fail where a member of one is not theirs."""
    calls: list[Call] = []
    wrong: list[str] = []
    real = StripeProvider._call

    async def call(
        self: StripeProvider,
        resource: str,
        verb: str,
        params: Mapping[str, Any],
        key: str | None = None,
        of: str | None = None,
    ) -> dict[str, Any]:
        calls.append((resource, verb, dict(params), key, of))
        wrong.extend(complaints(resource, verb, params))
        return await real(self, resource, verb, params, key, of)

    monkeypatch.setattr(StripeProvider, "_call", call)
    yield calls
    assert wrong == []


@pytest.fixture(scope="session")
def double(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the double that others have written, one for the run, and give its address."""
    with running(request.config.cache.mkdir("localstripe-1.15.10")) as address:
        yield address


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.fromtimestamp(NOW + 60, UTC))  # a minute into what the stand-in calls today


@pytest.fixture
async def stand_in() -> AsyncGenerator[StandIn]:
    async with serving() as one:
        yield one


@pytest.fixture
async def provider(stand_in: StandIn, clock: FakeClock) -> AsyncGenerator[StripeProvider]:
    """Give the adapter on a line to the stand-in."""
    line = Line(Secret(KEY), stand_in.address)
    yield StripeProvider("cards", line, clock, [Secret("whsec_1"), Secret("whsec_2")])
    await line.close()
