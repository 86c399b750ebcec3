"""WebSocket frames (RFC 6455 §5.2) as a server writes them: whole, unmasked, and so alike for every receiver.

Each reply has a frame of its own. The protocol lets several share one, but JavaScript clients before 5.8 then hand the
first reply of the next frame to the application before the later ones of this.
"""

from collections.abc import Iterable, Sequence

from corekit_realtime.codec import Codec

_TEXT, _BINARY = 0x81, 0x82  # FIN and the opcode
_SHORT, _MEDIUM = 125, 0xFFFF
BATCH = 65_536  # bytes of replies that are written at once


def frame(payload: bytes, *, binary: bool) -> bytes:
    """Put a header before a payload."""
    size, first = len(payload), _BINARY if binary else _TEXT
    if size <= _SHORT:
        return bytes((first, size)) + payload
    if size <= _MEDIUM:
        return bytes((first, 126)) + size.to_bytes(2) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload


class Outgoing:
    """Replies for any number of sockets, and their frames; what is `ephemeral` may be left out for a slow peer."""

    __slots__ = ("ephemeral", "frames", "replies")

    def __init__(self, codec: Codec, replies: Sequence[bytes], *, ephemeral: bool = False) -> None:
        self.replies = replies
        self.frames = b"".join([frame(reply, binary=codec.binary) for reply in replies])
        self.ephemeral = ephemeral


def batches(codec: Codec, replies: list[bytes], *, ephemeral: bool = False) -> Iterable[Outgoing]:
    """Put replies into as few writes as their size allows."""
    if sum(map(len, replies)) <= BATCH:
        yield Outgoing(codec, replies, ephemeral=ephemeral)
        return
    start, size = 0, 0
    for index, reply in enumerate(replies):
        if size and size + len(reply) > BATCH:
            yield Outgoing(codec, replies[start:index], ephemeral=ephemeral)
            start, size = index, 0
        size += len(reply)
    yield Outgoing(codec, replies[start:], ephemeral=ephemeral)
