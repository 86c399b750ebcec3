"""The seam between the schema and its encodings, JSON and Protobuf."""

from typing import ClassVar, Protocol

from corekit_realtime.protocol import Command, Reply


class Codec(Protocol):
    """Turns messages into commands, and replies into messages."""

    name: ClassVar[str]
    binary: ClassVar[bool]
    ping: ClassVar[bytes]

    def decode(self, message: bytes) -> list[Command]:
        """Read the commands of one message; codes.Ending where it is malformed."""
        ...

    def encode(self, reply: Reply) -> bytes:
        """Write one reply, a message of its own."""
        ...
