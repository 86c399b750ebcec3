"""Writers and peers that read slowly."""

import asyncio
from typing import Any

import pytest

from corekit_realtime.codec_json import JsonCodec
from corekit_realtime.frames import Outgoing, frame
from corekit_realtime.settings import RealtimeSettings
from corekit_realtime.stats import Stats
from corekit_realtime.writers import Caps, DirectWriter, QueueWriter

CODEC = JsonCodec()


class Pipe:
    """A transport whose peer reads as much as the test says."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        """Take."""
        self.written.append(data)
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        """Tell what the peer has not read."""
        return self.waiting

    def abort(self) -> None:
        """Be cut."""
        self.aborted = True

    def is_closing(self) -> bool:
        """Tell whether it was cut."""
        return self.aborted


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
async def writer(pipe: Pipe) -> DirectWriter:
    settings = RealtimeSettings(soft_buffer=1000, hard_buffer=10_000, slow_for=0.05)
    return DirectWriter(CODEC, Caps(settings, Stats()), pipe)


def message(size: int, *, ephemeral: bool = False) -> Outgoing:
    return Outgoing(CODEC, [b"x" * size], ephemeral=ephemeral)


async def test_replies_of_one_turn_share_a_write_and_come_before_what_all_get(writer: DirectWriter, pipe: Pipe) -> None:
    writer.push(b'{"id":1}')
    writer.push(b'{"id":2}')
    writer.send(message(5))
    writer.push(b'{"id":3}')
    await asyncio.sleep(0)
    expected = [[b'{"id":1}', b'{"id":2}'], [b"xxxxx"], [b'{"id":3}']]
    assert pipe.written == [b"".join(frame(reply, binary=False) for reply in write) for write in expected]


async def test_above_the_soft_mark_only_what_is_ephemeral_is_left_out(writer: DirectWriter, pipe: Pipe) -> None:
    writer.send(message(2000))
    writer.send(message(10, ephemeral=True))
    writer.send(message(20))
    assert [len(data) for data in pipe.written] == [2004, 22]
    pipe.waiting = 0
    writer.send(message(10, ephemeral=True))
    assert len(pipe.written) == 3


async def test_above_the_hard_mark_the_peer_is_cut(writer: DirectWriter, pipe: Pipe) -> None:
    for _ in range(8):
        writer.send(message(2000))
    assert pipe.aborted
    assert writer.was_slow
    assert sum(map(len, pipe.written)) < 13_000
    assert not writer._caps.slow


async def test_a_peer_that_does_not_catch_up_is_cut_after_a_while(writer: DirectWriter, pipe: Pipe) -> None:
    writer.send(message(5000))
    writer.send(message(10))
    writer._caps.check()
    assert not pipe.aborted
    await asyncio.sleep(0.06)
    writer._caps.check()
    assert pipe.aborted


async def test_a_peer_that_keeps_reading_may_take_its_time(writer: DirectWriter, pipe: Pipe) -> None:
    writer.push(b"x" * 50_000)  # its own, large reply
    await asyncio.sleep(0)
    writer.send(message(10))
    for _ in range(8):
        await asyncio.sleep(0.03)
        pipe.waiting -= 5_000
        writer._caps.check()
    assert not pipe.aborted
    pipe.waiting = 0
    writer._caps.check()
    assert not writer._caps.slow


async def test_the_queue_waits_for_the_peer_and_is_bounded() -> None:
    sent: list[Any] = []
    gate, cut = asyncio.Event(), []

    async def send(message: Any) -> None:
        await gate.wait()
        sent.append(message)

    settings = RealtimeSettings(soft_buffer=1000, hard_buffer=10_000)
    writer = QueueWriter(CODEC, Caps(settings, Stats()), send, lambda: cut.append(1))
    writer.push(b"{}")
    await writer.finish()
    assert sent == []
    gate.set()
    await writer.finish()
    assert sent == [{"type": "websocket.send", "text": "{}"}]
    gate.clear()
    for _ in range(8):
        writer.send(message(2000))
    assert cut == [1]
    assert not writer._queue


async def test_a_lost_peer_ends_the_queue() -> None:
    async def send(message: Any) -> None:
        raise OSError

    writer = QueueWriter(CODEC, Caps(RealtimeSettings(), Stats()), send, lambda: None)
    writer.send(message(10))
    await asyncio.sleep(0.01)
    assert writer.closed
