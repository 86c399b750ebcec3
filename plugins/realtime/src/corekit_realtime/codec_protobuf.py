"""The protocol in Protobuf: binary messages of one or more length-prefixed parts, by the same structs as the JSON.

Only what the schema needs of the wire format (protobuf.dev/programming-guides/encoding) is here: varints, and fields
with a length. Unknown fields are skipped; a field that comes twice counts as it came last.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple

from corekit_realtime import protocol as p
from corekit_realtime.codec import Codec
from corekit_realtime.codes import MALFORMED, Ending
from corekit_realtime.protocol import Command, Reply

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types
_BITS = 64
_NUMBER_MAX = 2**29 - 1
_ONE = tuple(bytes((value,)) for value in range(0x80))

# The numbers of `client.proto`; a test compares them with the definition that the clients carry.
NUMBERS: Mapping[type[Struct], str] = {
    p.Error: "code=1 message=2 temporary=3",
    p.StreamPosition: "offset=1 epoch=2",
    p.Empty: "",
    p.SubscribeRequest: "channel=1 token=2 recover=3 epoch=6 offset=7 data=8 positioned=9 recoverable=10 join_leave=11"
    " flag=14",
    p.ConnectRequest: "token=1 data=2 subs=3 name=4 version=5",
    p.TokenRequest: "token=1",
    p.ChannelRequest: "channel=1",
    p.PublishRequest: "channel=1 data=2",
    p.HistoryRequest: "channel=1 limit=7 since=8 reverse=9",
    p.RpcRequest: "data=1 method=2",
    p.SendRequest: "data=1",
    Command: "id=1 connect=4 subscribe=5 unsubscribe=6 publish=7 presence=8 presence_stats=9 history=10 ping=11 send=12"
    " rpc=13 refresh=14 sub_refresh=15",
    p.ClientInfo: "user=1 client=2 conn_info=3 chan_info=4",
    p.Publication: "data=4 info=5 offset=6",
    p.SubscribeResult: "expires=1 ttl=2 recoverable=3 epoch=6 publications=7 recovered=8 offset=9 positioned=10 data=11"
    " was_recovering=12",
    p.ConnectResult: "client=1 version=2 expires=3 ttl=4 data=5 subs=6 ping=7 pong=8 session=9 node=10",
    p.RefreshResult: "client=1 version=2 expires=3 ttl=4",
    p.SubRefreshResult: "expires=1 ttl=2",
    p.PresenceResult: "presence=1",
    p.PresenceStatsResult: "num_clients=1 num_users=2",
    p.HistoryResult: "publications=1 epoch=2 offset=3",
    p.RpcResult: "data=1",
    p.Joined: "info=1",
    p.Unsubscribed: "code=2 reason=3",
    p.Push: "channel=2 pub=4 join=5 leave=6 unsubscribe=7",
    Reply: "id=1 error=2 push=4 connect=5 subscribe=6 unsubscribe=7 publish=8 presence=9 presence_stats=10 history=11"
    " ping=12 rpc=13 refresh=14 sub_refresh=15",
}

Put = Callable[[bytearray, Any], None]
Take = Callable[[Any, Any], Any]  # (what the field has now, what was read) -> what it has then


class ProtobufCodec(Codec):
    """Stateless; one serves a process."""

    name: ClassVar[str] = "protobuf"
    binary: ClassVar[bool] = True
    ping: ClassVar[bytes] = b"\0"

    def __init__(self) -> None:
        self._write = Writing().of(Reply)
        self._read = Reading().of(Command)

    def decode(self, message: bytes) -> list[Command]:
        """Read the commands of one message."""
        commands, at = [], 0
        try:
            while at < len(message):
                start, at = _part(message, at)
                commands.append(self._read(message[start:at]))
        except (ValueError, IndexError, msgspec.MsgspecError):
            raise Ending(MALFORMED) from None
        if not commands:
            raise Ending(MALFORMED)
        return commands

    def encode(self, reply: Reply) -> bytes:
        """Write one reply behind its length."""
        body = self._write(reply)
        return varint(len(body)) + body


class Writing:
    """Makes a function for each struct that writes its fields, the unset and zero ones left out."""

    def __init__(self) -> None:
        self._made: dict[type, Callable[[Any], bytes]] = {}

    def of(self, struct: type[Struct]) -> Callable[[Any], bytes]:
        """Return the function, made once."""
        if struct not in self._made:
            self._made[struct] = self._make(struct)
        return self._made[struct]

    def _make(self, struct: type[Struct]) -> Callable[[Any], bytes]:
        puts = [self._put(number, hint) for _, number, hint in fields_of(struct)]

        def write(value: Any) -> bytes:
            out = bytearray()
            for put, field in zip(puts, astuple(value), strict=True):
                if field:
                    put(out, field)
            return bytes(out)

        return write

    def _put(self, number: int, hint: Any) -> Put:
        if hint in {int, bool}:
            tag = varint(number << 3 | _VARINT)
            return lambda out, value: out.extend(tag + varint(value))
        tag, body, origin = varint(number << 3 | _LENGTH), self._body(hint), get_origin(hint)

        def put(out: bytearray, value: Any) -> None:
            for one in value if origin is list else value.items() if origin is dict else (value,):
                written = body(one)
                out += tag + varint(len(written)) + written

        return put

    def _body(self, hint: Any) -> Callable[[Any], bytes]:
        if hint is str:
            return str.encode
        if hint is Raw:
            return bytes
        if get_origin(hint) is dict:
            write = self.of(get_args(hint)[1])
            return lambda entry: _entry(entry[0].encode(), write(entry[1]))
        return self.of(get_args(hint)[0] if get_origin(hint) is list else hint)


class Reading:
    """Makes a function for each struct that reads it.

    These raise ValueError, IndexError and DecodeError where the bytes are no such message.
    """

    def __init__(self) -> None:
        self._made: dict[type, Callable[[bytes], Any]] = {}

    def of(self, struct: type[Struct]) -> Callable[[bytes], Any]:
        """Return the function, made once."""
        if struct not in self._made:
            self._made[struct] = self._make(struct)
        return self._made[struct]

    def _make(self, struct: type[Struct]) -> Callable[[bytes], Any]:
        fields = {
            number: (name, _VARINT if hint in {int, bool} else _LENGTH, self._take(hint))
            for name, number, hint in fields_of(struct)
        }

        def read(message: bytes) -> Any:
            found: dict[str, Any] = {}
            at = 0
            while at < len(message):
                number, wire, value, at = _field(message, at)
                name, expected, take = fields.get(number, (None, 0, None))
                if take is None or name is None:
                    continue
                if wire != expected:
                    raise ValueError("wire type")
                found[name] = take(found.get(name), value)
            return msgspec.convert(found, struct, from_attributes=True)  # the bounds of the schema

        return read

    def _take(self, hint: Any) -> Take:
        if hint is int:
            return lambda _, value: value - (1 << _BITS) if value >> (_BITS - 1) else value
        if hint is bool:
            return lambda _, value: bool(value)
        if hint is str:
            return lambda _, value: value.decode()
        if hint is Raw:
            return lambda _, value: msgspec.json.decode(value, type=Raw)
        if get_origin(hint) is dict:
            read = self.of(get_args(hint)[1])
            return lambda before, value: (before or {}) | _read_entry(value, read)
        read = self.of(hint)
        return lambda _, value: read(value)


def fields_of(struct: type[Struct]) -> list[tuple[str, int, Any]]:
    """Return the fields of a struct in its order: name, number, and type without `None`, `UNSET` and bounds."""
    hints = get_type_hints(struct)
    numbers = dict(field.split("=") for field in NUMBERS[struct].split())
    return [(name, int(numbers[name]), _plain(hints[name])) for name in struct.__struct_fields__]


def varint(value: int) -> bytes:
    """Write a number, seven bits at a time, the lowest first."""
    if 0 <= value <= 0x7F:  # noqa: PLR2004  # seven bits
        return _ONE[value]
    out = bytearray()
    value &= (1 << _BITS) - 1
    while value > 0x7F:  # noqa: PLR2004  # seven bits
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Read a number; return it and where it ended."""
    value, shift = message[at], 0
    if value < 0x80:  # noqa: PLR2004  # the eighth bit says that more follows
        return value, at + 1
    value = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if value >> _BITS:
            raise ValueError("longer than 64 bits")
        if byte < 0x80:  # noqa: PLR2004
            return value, at
        shift += 7
        if shift >= _BITS + 6:
            raise ValueError("longer than 10 bytes")


def _part(message: bytes, at: int) -> tuple[int, int]:
    size, start = read_varint(message, at)
    if start + size > len(message):
        raise ValueError("cut short")
    return start, start + size


def _field(message: bytes, at: int) -> tuple[int, int, Any, int]:
    """Read one field: its number, wire type and value, and where it ended."""
    key, at = read_varint(message, at)
    number, wire = key >> 3, key & 7
    if not 0 < number <= _NUMBER_MAX:
        raise ValueError("no number of a field")
    if wire == _VARINT:
        return number, wire, *read_varint(message, at)
    if wire == _LENGTH:
        start, end = _part(message, at)
        return number, wire, message[start:end], end
    end = at + {_FIXED64: 8, _FIXED32: 4}.get(wire, len(message))
    if end > len(message):
        raise ValueError("cut short, or a group")
    return number, wire, None, end


def _read_entry(message: bytes, read: Callable[[bytes], Any]) -> dict[str, Any]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        number, wire, value, at = _field(message, at)
        if number in {1, 2} and wire != _LENGTH:
            raise ValueError("wire type")
        found[number] = value
    return {found.get(1, b"").decode(): read(found.get(2, b""))}


def _entry(key: bytes, value: bytes) -> bytes:
    return b"".join((b"\x0a", varint(len(key)), key, b"\x12", varint(len(value)), value))


def _plain(hint: Any) -> Any:
    kinds = [kind for kind in get_args(hint) if kind not in {type(None), msgspec.UnsetType}]
    return hint if get_origin(hint) in {list, dict} or not kinds else kinds[0]
