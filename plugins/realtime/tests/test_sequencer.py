"""The sequencer, against every order in which publications can come."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corekit.contracts.realtime import Publication
from corekit_realtime.sequencer import Sequencer
from corekit_realtime.tasks import Tasks


class Stream:
    """A log of known length, a sequencer over it, and what came out."""

    def __init__(self, length: int, *, rows_max: int = 500, readable: bool = True) -> None:
        self.log = [Publication(b"%d" % offset, offset) for offset in range(1, length + 1)]
        self.out: list[int] = []
        self.reads = 0
        self.parallel = 0
        self.failed = False
        self.readable = readable
        self.tasks = Tasks()
        self.sequencer = Sequencer(
            self._deliver, self._read, self._fail, tasks=self.tasks, rows_max=rows_max, patience=0
        )

    def _deliver(self, entry: Publication) -> None:
        assert entry == self.log[entry.offset - 1]
        self.out.append(entry.offset)

    async def _read(self, after: int, limit: int) -> list[Publication]:
        self.reads += 1
        self.parallel += 1
        assert self.parallel == 1, "one read at a time"
        await asyncio.sleep(0)
        self.parallel -= 1
        if not self.readable:
            raise OSError
        return self.log[after : after + limit]

    def _fail(self) -> None:
        self.failed = True


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_each_once_and_in_order_whatever_comes(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 40))
    begin = data.draw(st.integers(0, length))
    arrivals = data.draw(st.lists(st.integers(1, length), max_size=80))
    started = data.draw(st.integers(0, len(arrivals)))
    turns = data.draw(st.sets(st.integers(0, 80)))

    async def run() -> None:
        stream = Stream(length)
        for index, offset in enumerate(arrivals):
            if index == started:
                stream.sequencer.start("e", begin)
            stream.sequencer.accept(stream.log[offset - 1])
            if index in turns:
                await asyncio.sleep(0)
        if started == len(arrivals):
            stream.sequencer.start("e", begin)
        await stream.tasks.finish(5)
        assert stream.out == list(range(begin + 1, max([begin, *arrivals]) + 1))
        assert not stream.failed

    asyncio.run(run())


async def test_what_overtook_is_waited_for_before_the_log_is_read() -> None:
    stream = Stream(3)
    stream.sequencer._patience = 0.01
    stream.sequencer.start("e", 0)
    for offset in (2, 3, 1):
        stream.sequencer.accept(stream.log[offset - 1])
    await stream.tasks.finish(5)
    assert (stream.out, stream.reads) == ([1, 2, 3], 0)


async def test_a_position_beyond_is_caught_up_with() -> None:
    stream = Stream(9)
    stream.sequencer.start("e", 4)
    stream.sequencer.learn(9)
    await stream.tasks.finish(5)
    assert stream.out == [5, 6, 7, 8, 9]


async def test_too_large_a_gap_sends_everybody_back_to_recovery() -> None:
    stream = Stream(20, rows_max=10)
    stream.sequencer.start("e", 0)
    stream.sequencer.accept(stream.log[19])
    await stream.tasks.finish(5)
    assert (stream.failed, stream.out) == (True, [])
    stream.sequencer.accept(stream.log[0])
    assert stream.out == [], "closed"


@pytest.mark.parametrize("readable", [True, False])
async def test_an_unreadable_gap_too(readable: bool) -> None:
    stream = Stream(3, readable=readable)
    stream.sequencer.start("e", 0)
    if readable:
        stream.sequencer.learn(4)  # an offset that the log does not have
    else:
        stream.sequencer.accept(stream.log[2])
    await stream.tasks.finish(10)
    assert stream.failed


async def test_what_waits_is_bounded() -> None:
    stream = Stream(2000, rows_max=50)
    for entry in stream.log:
        stream.sequencer.accept(entry)
    assert len(stream.sequencer._early) == 50
    stream.sequencer.start("e", 1960)
    await stream.tasks.finish(5)
    assert stream.out == list(range(1961, 2001))
