"""The schema against the protocol's own definition, as the unmodified client has it."""

import msgspec
import pytest
from centrifuge.protocol import client_pb2
from google.protobuf import json_format
from websockets.frames import Frame, Opcode

from corekit_realtime import protocol
from corekit_realtime.codec_json import JsonCodec
from corekit_realtime.frames import batches, frame

NAMES = {
    "Command": protocol.Command,
    "Reply": protocol.Reply,
    "Push": protocol.Push,
    "Error": protocol.Error,
    "ClientInfo": protocol.ClientInfo,
    "Publication": protocol.Publication,
    "Join": protocol.Joined,
    "Leave": protocol.Joined,
    "Unsubscribe": protocol.Unsubscribed,
    "StreamPosition": protocol.StreamPosition,
    "ConnectRequest": protocol.ConnectRequest,
    "ConnectResult": protocol.ConnectResult,
    "RefreshRequest": protocol.TokenRequest,
    "RefreshResult": protocol.RefreshResult,
    "SubscribeRequest": protocol.SubscribeRequest,
    "SubscribeResult": protocol.SubscribeResult,
    "SubRefreshRequest": protocol.ChannelRequest,
    "SubRefreshResult": protocol.SubRefreshResult,
    "UnsubscribeRequest": protocol.ChannelRequest,
    "PublishRequest": protocol.PublishRequest,
    "PresenceRequest": protocol.ChannelRequest,
    "PresenceResult": protocol.PresenceResult,
    "PresenceStatsRequest": protocol.ChannelRequest,
    "PresenceStatsResult": protocol.PresenceStatsResult,
    "HistoryRequest": protocol.HistoryRequest,
    "HistoryResult": protocol.HistoryResult,
    "RPCRequest": protocol.RpcRequest,
    "RPCResult": protocol.RpcResult,
    "SendRequest": protocol.SendRequest,
}


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_one_of_the_protocols(name: str) -> None:
    fields = {field.name for field in client_pb2.DESCRIPTOR.message_types_by_name[name].fields}
    assert set(NAMES[name].__struct_fields__) <= fields


def test_a_reply_is_what_the_definition_reads() -> None:
    result = protocol.SubscribeResult(
        recoverable=True,
        epoch="e",
        offset=3,
        publications=[protocol.Publication(offset=3, info=protocol.ClientInfo(user="usr_1", client="c"))],
    )
    line = JsonCodec().encode(protocol.Reply(id=4, subscribe=result))
    read = json_format.Parse(line, client_pb2.Reply())
    assert (read.id, read.subscribe.publications[0].info.user, read.subscribe.offset) == (4, "usr_1", 3)


def test_what_is_unset_is_not_written() -> None:
    codec = JsonCodec()
    assert codec.encode(protocol.Reply()) == b"{}" == codec.ping
    assert codec.encode(protocol.Reply(id=1, unsubscribe=protocol.Empty())) == b'{"id":1,"unsubscribe":{}}'
    pub = protocol.Publication(data=msgspec.Raw(b'{"a":1}'), offset=7)
    push = protocol.Reply(push=protocol.Push(channel="c", pub=pub))
    assert codec.encode(push) == b'{"push":{"channel":"c","pub":{"data":{"a":1},"offset":7}}}'


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_is_what_a_client_reads(size: int) -> None:
    expected = b"x" * size
    assert frame(expected, binary=False) == Frame(Opcode.TEXT, expected).serialize(mask=False)
    assert frame(expected, binary=True) == Frame(Opcode.BINARY, expected).serialize(mask=False)


def test_batches_stay_small_unless_one_reply_is_not() -> None:
    codec = JsonCodec()
    replies = [b"a" * 30_000, b"b" * 30_000, b"c" * 30_000, b"d" * 90_000, b"e"]
    found = [outgoing.replies for outgoing in batches(codec, replies)]
    assert [len(batch) for batch in found] == [2, 1, 1, 1]
    assert [reply for batch in found for reply in batch] == replies
