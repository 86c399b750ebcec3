"""Protobuf for the raw client, by the definition that an unmodified client carries."""

from typing import Any

import msgspec
from centrifuge.protocol import client_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.internal.decoder import _DecodeVarint32
from google.protobuf.internal.encoder import _VarintBytes
from google.protobuf.message import Message


def write(command: dict[str, Any]) -> bytes:
    """Write a command as one part of a message."""
    message = client_pb2.Command()
    fill(message, command)
    body: bytes = message.SerializeToString()
    return bytes(_VarintBytes(len(body))) + body


def read(message: bytes) -> list[dict[str, Any]]:
    """Read the replies of a message, in the form that they have in JSON."""
    replies, at = [], 0
    while at < len(message):
        size, at = _DecodeVarint32(message, at)
        replies.append(told(client_pb2.Reply.FromString(message[at : at + size])))
        at += size
    return replies


def fill(message: Message, value: dict[str, Any]) -> None:
    """Set the fields of a message; the application's data is JSON."""
    for name, one in value.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.type == FieldDescriptor.TYPE_BYTES:
            setattr(message, name, msgspec.json.encode(one))
        elif field.message_type is None:
            setattr(message, name, one)
        elif field.message_type.GetOptions().map_entry:
            for key, entry in one.items():
                target = getattr(message, name)[key]
                target.SetInParent()
                fill(target, entry)
        else:
            getattr(message, name).SetInParent()
            fill(getattr(message, name), one)


def told(value: Any) -> Any:
    """Return what a message says, without what is unset or zero."""
    if isinstance(value, Message):
        return {field.name: told(one) for field, one in value.ListFields()}
    if isinstance(value, bytes):
        return msgspec.json.decode(value)
    if isinstance(value, str | int):
        return value
    return {key: told(value[key]) for key in value} if hasattr(value, "keys") else [told(one) for one in value]
