"""The protocol in JSON: text messages of one or more objects, a newline between them; what is written has one."""

from typing import ClassVar

import msgspec

from corekit_realtime.codec import Codec
from corekit_realtime.codes import MALFORMED, Ending
from corekit_realtime.protocol import Command, Reply


class JsonCodec(Codec):
    """Stateless but for its buffers; one serves a process."""

    name: ClassVar[str] = "json"
    binary: ClassVar[bool] = False
    ping: ClassVar[bytes] = b"{}"

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Command)
        self._encoder = msgspec.json.Encoder()

    def decode(self, message: bytes) -> list[Command]:
        """Read the commands of one message."""
        try:
            if b"\n" not in message:
                return [self._decoder.decode(message)]
            return self._decoder.decode_lines(message)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Ending(MALFORMED) from None

    def encode(self, reply: Reply) -> bytes:
        """Write one reply."""
        return self._encoder.encode(reply)
