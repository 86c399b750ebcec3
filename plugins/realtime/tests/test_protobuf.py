"""The protocol in Protobuf, against the definition that the unmodified client carries."""

import asyncio
from typing import Any

import msgspec
import pytest
import realtime_protobuf  # beside this file
from centrifuge.protocol import client_pb2
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from realtime_town import Serve

from corekit_realtime import protocol
from corekit_realtime.codec_json import JsonCodec
from corekit_realtime.codec_protobuf import NUMBERS, ProtobufCodec, fields_of, read_varint, varint
from corekit_realtime.codes import Ending
from corekit_realtime.protocol import Command, Reply

DESCRIBED = client_pb2.DESCRIPTOR.message_types_by_name
NAMES = {"Empty": "PingRequest", "TokenRequest": "RefreshRequest", "ChannelRequest": "UnsubscribeRequest"} | {
    "RpcRequest": "RPCRequest", "RpcResult": "RPCResult", "Joined": "Join", "Unsubscribed": "Unsubscribe"
}  # fmt: skip

NUMBER = st.integers(0, 2**32 - 1)
POSITION = st.integers(0, 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


POSITIONED = of(offset=POSITION, epoch=TEXT)
SUBSCRIBE = of(
    channel=TEXT, token=TEXT, recover=st.booleans(), epoch=TEXT, offset=POSITION, data=JSON, positioned=st.booleans(),
    recoverable=st.booleans(), join_leave=st.booleans(), flag=st.integers(-5, 5),
)  # fmt: skip
COMMAND = st.tuples(
    NUMBER,
    st.one_of(
        of(token=TEXT, data=JSON, subs=st.dictionaries(TEXT, SUBSCRIBE, max_size=3), name=TEXT, version=TEXT).map(
            lambda value: ("connect", value)
        ),
        SUBSCRIBE.map(lambda value: ("subscribe", value)),
        of(channel=TEXT, data=JSON).map(lambda value: ("publish", value)),
        of(channel=TEXT, limit=st.integers(-1, 500), since=POSITIONED, reverse=st.booleans()).map(
            lambda value: ("history", value)
        ),
        of(method=TEXT, data=JSON).map(lambda value: ("rpc", value)),
        of(channel=TEXT).map(lambda value: ("presence", value)),
    ),
).map(lambda pair: {"id": pair[0], pair[1][0]: pair[1][1]})
INFO = of(user=TEXT, client=TEXT, conn_info=JSON, chan_info=JSON)
PUBLICATION = of(data=JSON, info=INFO, offset=POSITION)
SUBSCRIBED = of(
    expires=st.booleans(), ttl=NUMBER, recoverable=st.booleans(), epoch=TEXT, recovered=st.booleans(), offset=POSITION,
    publications=st.lists(PUBLICATION, max_size=3), positioned=st.booleans(), data=JSON,
)  # fmt: skip
ERROR = st.fixed_dictionaries({"code": st.integers(1, 2**32 - 1), "message": st.just("no"), "temporary": st.booleans()})
REPLY = st.one_of(
    of(id=NUMBER, subscribe=SUBSCRIBED),
    of(id=NUMBER, connect=of(client=TEXT, subs=st.dictionaries(TEXT, SUBSCRIBED, max_size=2), ping=NUMBER, data=JSON)),
    of(id=NUMBER, presence=of(presence=st.dictionaries(TEXT, INFO, max_size=3))),
    of(id=NUMBER, error=ERROR),
    of(push=of(channel=TEXT, pub=PUBLICATION, unsubscribe=of(code=NUMBER, reason=TEXT))),
)


def plain(command: Command) -> Any:
    """Return a command as JSON has it, whatever the order of its keys."""
    return msgspec.json.decode(msgspec.json.encode(command))


@pytest.mark.parametrize("struct", NUMBERS, ids=lambda struct: struct.__name__)
def test_numbers_are_the_definitions(struct: type[msgspec.Struct]) -> None:
    described = DESCRIBED[NAMES.get(struct.__name__, struct.__name__)]
    expected = {field.name: field.number for field in described.fields}
    assert {name: number for name, number, _ in fields_of(struct)}.items() <= expected.items()


@settings(max_examples=300, deadline=None)
@given(COMMAND)
def test_a_command_means_what_it_means_in_json(command: dict[str, Any]) -> None:
    (read,) = ProtobufCodec().decode(realtime_protobuf.write(command))
    (expected,) = JsonCodec().decode(msgspec.json.encode(command))
    assert plain(read) == plain(expected)
    assert isinstance(read, Command)


@settings(max_examples=300, deadline=None)
@given(REPLY)
def test_a_reply_says_what_it_says_in_json(reply: dict[str, Any]) -> None:
    made = msgspec.json.decode(msgspec.json.encode(reply), type=Reply)
    (told,) = realtime_protobuf.read(ProtobufCodec().encode(made))
    assert told == msgspec.json.decode(JsonCodec().encode(made))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), COMMAND, st.integers(0, 200))
def test_no_bytes_are_a_traceback(garbage: bytes, command: dict[str, Any], cut: int) -> None:
    """Nothing but 3501, whatever comes; red where `decode` lets a ValueError through."""
    valid = realtime_protobuf.write(command)
    codes = []
    for message in (garbage, valid[:cut] + garbage, varint(len(garbage)) + garbage):
        try:
            ProtobufCodec().decode(message)
        except Ending as ending:
            codes.append(ending.close.code)
    assert set(codes) <= {3501}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_what_the_definition_refuses_is_refused(body: bytes) -> None:
    try:
        client_pb2.Command.FromString(body)
    except DecodeError:
        with pytest.raises(Ending):
            ProtobufCodec().decode(varint(len(body)) + body)


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_any_length(value: int) -> None:
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


def test_several_parts_share_a_message_and_unknown_fields_are_skipped() -> None:
    codec = ProtobufCodec()
    later = client_pb2.Command(id=3)
    later.connect.headers["x"] = "y"
    later.connect.flag = 1
    body = later.SerializeToString() + b"\xf8\x7f\x01" + b"\xfd\x7f1234" + b"\xf9\x7f12345678"
    message = realtime_protobuf.write({"id": 1, "ping": {}}) + codec.ping + varint(len(body)) + body
    first, pong, last = codec.decode(message)
    assert (first.id, first.ping) == (1, protocol.Empty())
    assert pong == Command()
    assert (last.id, last.connect) == (3, protocol.ConnectRequest())
    replies = [codec.encode(Reply(id=1, ping=protocol.Empty())), codec.encode(Reply())]
    assert replies[1] == codec.ping
    assert realtime_protobuf.read(b"".join(replies)) == [{"id": 1, "ping": {}}, {}]


def test_the_applications_data_is_json() -> None:
    rpc = client_pb2.Command(id=1)
    rpc.rpc.data = b'{"a":'
    body = rpc.SerializeToString()
    with pytest.raises(Ending):
        ProtobufCodec().decode(varint(len(body)) + body)
    reply = Reply(id=1, rpc=protocol.RpcResult(Raw(b'{"a":1}')))
    assert client_pb2.Reply.FromString(ProtobufCodec().encode(reply)[1:]).rpc.data == b'{"a":1}'


async def test_a_client_says_which_codec_it_speaks(served_once: Serve) -> None:
    async with served_once() as town:
        wire = await town.open("alice", codec="protobuf")
        assert wire.socket.subprotocol == "centrifuge-protobuf"
        assert "ping" in await wire.ask(ping={})
        for query in ("format=protobuf", "cf_protocol=protobuf"):
            wire = await town.open(path=f"/connection/websocket?{query}")
            wire._replies[1] = future = asyncio.get_running_loop().create_future()
            await wire.socket.send(realtime_protobuf.write({"id": 1, "connect": {"token": "alice"}}))
            assert (await asyncio.wait_for(future, 2))["connect"]["client"]
        wire = await town.open("alice", subprotocols=["centrifuge-json"])
        assert wire.socket.subprotocol == "centrifuge-json"


@pytest.mark.parametrize(
    "frame",
    [b"", b"\x01", b"\x05\x08", b"\xff" * 11, b"\x02\x0a\x00", b"\x03\x08\x02\x5a", b"\x02\x0b\x00", "{}"],
)
async def test_garbage_ends_the_connection(served_once: Serve, frame: str | bytes) -> None:
    """Nothing, cut short, no length, a number too large, a wrong wire type, a group, JSON."""
    async with served_once() as town:
        wire = await town.open("alice", codec="protobuf")
        await wire.socket.send(frame)
        assert await wire.closed() == 3501
        assert "ping" in await (await town.open("bob")).ask(ping={})
