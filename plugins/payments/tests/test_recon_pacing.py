"""How often a provider is asked, and how long a run rests after it failed."""

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from corekit_payments.recon.pacing import Bucket
from corekit_payments.recon.running import rest_after


class Time:
    """Passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_second_has_more_questions_than_twice_the_rate(rate: float, pauses: list[float]) -> None:
    """What was saved up in one second, and what the next one brings; red when a taker does not wait."""
    time = Time()
    bucket, taken = Bucket(rate, clock=time, sleep=time.sleep), []

    async def take() -> None:
        for pause in [*pauses, *[0.0] * 200]:
            time.now += pause
            await bucket.take()
            taken.append(time.now)

    asyncio.run(take())
    most = max(1.0, rate) + rate + 1
    for at, first in enumerate(taken):
        assert sum(1 for one in taken[at:] if one < first + 1) <= most


def test_a_rest_is_drawn_below_a_limit_that_doubles() -> None:
    for failures in range(1, 40):
        drawn = [rest_after(failures) for _ in range(20)]
        limit = min(timedelta(minutes=2**failures), timedelta(hours=6))
        assert all(timedelta(minutes=1) <= one <= limit for one in drawn)
    assert len({rest_after(5) for _ in range(20)}) > 1
