"""The memory behind `user:` channels."""

from hypothesis import given
from hypothesis import strategies as st

from corekit_realtime.ring import ENTRIES, SECONDS, Ring, Rings


def test_a_ring_keeps_the_last_entries_and_none_too_old() -> None:
    ring = Ring(0)
    for number in range(ENTRIES + 10):
        ring.append(b"%d" % number, now=float(number))
    assert [entry.offset for entry in ring.since(0, now=300.0)] == list(range(11, ENTRIES + 11))
    late = 100.0 + SECONDS + 0.5
    assert [entry.offset for entry in ring.since(0, now=late)] == list(range(102, ENTRIES + 11))


def test_a_ring_outlives_a_short_absence_and_no_longer_one() -> None:
    now = 0.0
    rings = Rings(lambda: now)
    ring = rings.hold("a")
    ring.append(b"1", now)
    rings.release("a")
    now = SECONDS - 1
    assert rings.hold("a") is ring
    rings.release("a")
    now = 2 * SECONDS
    rings.hold("b")
    rings.release("b")
    assert rings.find("a") is None
    assert rings.find("b") is not None


@given(st.integers(0, 20), st.integers(0, 20))
def test_no_position_in_a_dropped_ring_fits_a_new_one(told: int, told_again: int) -> None:
    now = 0.0
    rings = Rings(lambda: now)
    first = rings.hold("a")
    for _ in range(told):
        first.append(b"", now)
    rings.release("a")
    now = SECONDS + 1
    rings.hold("b")
    rings.release("b")
    again = rings.hold("a")
    for _ in range(told_again):
        again.append(b"", now)
    for old in range(first.last + 1):
        assert len(again.since(old, now)) != again.last - old, "it would count as recovered"
