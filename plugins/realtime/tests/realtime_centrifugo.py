"""Centrifugo's published messages, by name, type and number, a strict reader of their JSON, and options it knows.

The names are those of `internal/proxyproto/proxy.proto` and `internal/apiproto/api.proto` of Centrifugo 6, as far as a
proxy over HTTP and the commands used here go; the options are those of `internal/configtypes`. In JSON `bytes` are any
JSON value.
"""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

_ASKED = "string client 1, string transport 2, string protocol 3, string encoding 4"
_ANSWER = "Error error 2, Disconnect disconnect 3"
PROXY = {
    "Disconnect": "uint32 code 1, string reason 2",
    "Error": "uint32 code 1, string message 2, bool temporary 3",
    "BoolValue": "bool value 1",
    "SubscribeOptionOverride": "BoolValue presence 1, BoolValue join_leave 2, BoolValue force_recovery 3,"
    " BoolValue force_positioning 4, BoolValue force_push_join_leave 5",
    "ConnectRequest": f"{_ASKED}, bytes data 10, string b64data 11, string name 12, string version 13,"
    " string* channels 14",
    "SubscribeOptions": "int64 expire_at 1, bytes info 2, string b64info 3, bytes data 4, string b64data 5,"
    " SubscribeOptionOverride override 6",
    "ConnectResult": "string user 1, int64 expire_at 2, bytes info 3, string b64info 4, bytes data 5, string b64data 6,"
    " string* channels 7, map:SubscribeOptions subs 8, bytes meta 9",
    "ConnectResponse": f"ConnectResult result 1, {_ANSWER}",
    "RefreshRequest": f"{_ASKED}, string user 10, bytes meta 11",
    "RefreshResult": "bool expired 1, int64 expire_at 2, bytes info 3, string b64info 4, bytes meta 5",
    "RefreshResponse": f"RefreshResult result 1, {_ANSWER}",
    "SubscribeRequest": f"{_ASKED}, string user 10, string channel 11, string token 12, bytes meta 13, bytes data 14,"
    " string b64data 15",
    "SubscribeResult": "int64 expire_at 1, bytes info 2, string b64info 3, bytes data 4, string b64data 5,"
    " SubscribeOptionOverride override 6",
    "SubscribeResponse": f"SubscribeResult result 1, {_ANSWER}",
    "PublishRequest": f"{_ASKED}, string user 10, string channel 11, bytes data 12, string b64data 13, bytes meta 14",
    "PublishResult": "bytes data 1, string b64data 2, bool skip_history 3, map:string tags 4, string idempotency_key 5,"
    " bool delta 6, uint64 version 7, string version_epoch 8",
    "PublishResponse": f"PublishResult result 1, {_ANSWER}",
    "RPCRequest": f"{_ASKED}, string user 10, string method 11, bytes data 12, string b64data 13, bytes meta 14",
    "RPCResult": "bytes data 1, string b64data 2",
    "RPCResponse": f"RPCResult result 1, {_ANSWER}",
    "SubRefreshRequest": f"{_ASKED}, string user 10, string channel 11, bytes meta 12",
    "SubRefreshResult": "bool expired 1, int64 expire_at 2, bytes info 3, string b64info 4",
    "SubRefreshResponse": f"SubRefreshResult result 1, {_ANSWER}",
}
_PUBLISHED = (
    "bytes data 2, string b64data 3, bool skip_history 4, map:string tags 5, string idempotency_key 6, bool delta 7,"
    " uint64 version 8, string version_epoch 9"
)
API = {
    "PublishRequest": f"string channel 1, {_PUBLISHED}",
    "BroadcastRequest": f"string* channels 1, {_PUBLISHED}",
    "UnsubscribeRequest": "string channel 1, string user 2, string client 3, string session 4",
    "Disconnect": "uint32 code 1, string reason 2",
    "DisconnectRequest": "string user 1, Disconnect disconnect 2, string client 3, string* whitelist 4,"
    " string session 5",
    "PresenceRequest": "string channel 1",
    "PresenceStatsRequest": "string channel 1",
    "InfoRequest": "",
    "Command": "PublishRequest publish 4, BroadcastRequest broadcast 5, UnsubscribeRequest unsubscribe 7,"
    " DisconnectRequest disconnect 8, PresenceRequest presence 9, PresenceStatsRequest presence_stats 10,"
    " InfoRequest info 13",
    "BatchRequest": "Command* commands 1, bool parallel 2",
    "Error": "uint32 code 1, string message 2",
    "PublishResult": "uint64 offset 1, string epoch 2",
    "ClientInfo": "string user 1, string client 2, bytes conn_info 3, bytes chan_info 4",
    "PresenceResult": "map:ClientInfo presence 1",
    "PresenceStatsResult": "uint32 num_clients 1, uint32 num_users 2",
}
_PROXIED = "endpoint timeout http_headers include_connection_meta http.static_headers"
_OPTIONS = {
    "http_api": "key",
    "client": "allowed_origins ping_interval pong_timeout stale_close_delay expired_close_delay channel_limit"
    " concurrency user_connection_limit connection_limit connection_rate_limit queue_max_size"
    " history_max_publication_limit recovery_max_publication_limit",
    "client.proxy.connect": f"enabled {_PROXIED}",
    "client.proxy.refresh": f"enabled {_PROXIED}",
    "websocket": "message_size_limit",
    "channel.proxy.subscribe": _PROXIED,
    "channel.proxy.publish": _PROXIED,
    "channel.proxy.sub_refresh": _PROXIED,
    "channel.namespaces": "name presence join_leave force_push_join_leave history_size history_ttl force_recovery"
    " allow_presence_for_subscriber allow_history_for_subscriber subscribe_proxy_enabled sub_refresh_proxy_enabled"
    " publish_proxy_enabled",
    "rpc.proxy": _PROXIED,
    "rpc.without_namespace": "proxy_enabled",
}
OPTIONS = {f"{table}.{name}" for table, names in _OPTIONS.items() for name in names.split()}
_SCALARS = {name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}") for name in ("string", "bytes", "bool")} | {
    name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}") for name in ("uint32", "uint64", "int64")
}
_RANGES = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32),
    FieldDescriptor.TYPE_UINT64: (0, 2**64),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63),
}
_PLAIN = {FieldDescriptor.TYPE_STRING: str, FieldDescriptor.TYPE_BOOL: bool}


class Unfit(ValueError):
    """A message has not its published form."""


class Schema:
    """The messages of one table; a name twice, a number twice or an unknown type is a TypeError."""

    def __init__(self, name: str, table: dict[str, str]) -> None:
        file = FileDescriptorProto(name=f"{name}.proto", package=name, syntax="proto3")
        for message, fields in table.items():
            _message(file.message_type.add(name=message), name, [field for field in fields.split(", ") if field])
        pool = DescriptorPool()
        pool.Add(file)
        self._found = {message: pool.FindMessageTypeByName(f"{name}.{message}") for message in table}

    def fields(self, message: str) -> set[str]:
        """Name the fields of a message."""
        return {field.name for field in self._found[message].fields}

    def check(self, message: str, value: Any) -> None:
        """Refuse what is unknown or of another type (Unfit)."""
        _check(self._found[message], value, message)


def options(written: Any, above: str = "") -> set[str]:
    """Name the options of a configuration, `a.b.c`; what is below `static_headers` are names of headers."""
    if isinstance(written, list) and all(isinstance(one, dict) for one in written):
        return {name for one in written for name in options(one, above)}
    if not isinstance(written, dict) or above.endswith("static_headers"):
        return {above}
    return {name for key, one in written.items() for name in options(one, f"{above}.{key}".lstrip("."))}


def _message(message: DescriptorProto, package: str, fields: list[str]) -> None:
    for line in fields:
        kind, name, number = line.split()
        field = message.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
        if kind.startswith("map:"):
            entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
            entry.options.map_entry = True
            _message(entry, package, ["string key 1", f"{kind[4:]} value 2"])
            kind = f"{message.name}.{entry.name}*"
        if kind.endswith("*"):
            field.label = FieldDescriptorProto.LABEL_REPEATED
            kind = kind[:-1]
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"


def _check(form: Descriptor, value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise Unfit(f"{where} is no object")
    for name, one in value.items():
        field = form.fields_by_name.get(name)
        if field is None:
            raise Unfit(f"{where}.{name} is unknown")
        _check_field(field, one, f"{where}.{name}")


def _check_field(field: FieldDescriptor, value: Any, where: str) -> None:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        if not isinstance(value, dict):
            raise Unfit(f"{where} is no object")
        for one in value.values():
            _check_one(inner.fields_by_name["value"], one, where)
    elif field.is_repeated:
        if not isinstance(value, list):
            raise Unfit(f"{where} is no list")
        for one in value:
            _check_one(field, one, where)
    else:
        _check_one(field, value, where)


def _check_one(field: FieldDescriptor, value: Any, where: str) -> None:
    if field.message_type is not None:
        _check(field.message_type, value, where)
    elif field.type in _RANGES:
        low, high = _RANGES[field.type]
        if type(value) is not int or not low <= value < high:
            raise Unfit(f"{where} is no whole number from {low} to {high - 1}")
    elif field.type in _PLAIN and type(value) is not _PLAIN[field.type]:
        raise Unfit(f"{where} is no {_PLAIN[field.type].__name__}")
