"""The configuration of a Centrifugo (version 6) that fits a kit: its channels, its limits, its endpoints."""

from collections.abc import Iterable
from typing import Any

from corekit.contracts.realtime import Namespace
from corekit_realtime.centrifugo.routes import HEADER, PATH
from corekit_realtime.node import USER
from corekit_realtime.settings import RealtimeSettings

API_KEY = "the value of [realtime] centrifugo_api_key"
PROXY_SECRET = "the value of [realtime] centrifugo_proxy_secret"  # noqa: S105  # says what belongs here
_FORWARDED = ["user-agent", "x-forwarded-for"]


def example(settings: RealtimeSettings, families: Iterable[tuple[Namespace, bool]], backend: str) -> dict[str, Any]:
    """Write the configuration; `families` are namespaces and whether they have a log, `backend` corekit's address."""
    channel = {name: _proxy(backend, name) for name in ("subscribe", "publish", "sub_refresh")}
    client = {name: {"enabled": True, **_proxy(backend, name)} for name in ("connect", "refresh")}
    return {
        "http_api": {"key": API_KEY},
        "client": {
            "proxy": client,
            "allowed_origins": list(settings.origins),
            "ping_interval": _seconds(settings.ping),
            "pong_timeout": _seconds(settings.pong_timeout),
            "stale_close_delay": _seconds(settings.stale),
            "expired_close_delay": _seconds(settings.expiry_grace),
            "channel_limit": settings.channels_max,
            "concurrency": settings.rpc_concurrency,
            "user_connection_limit": settings.connections_per_user,
            "connection_limit": settings.connections_max,
            "connection_rate_limit": settings.handshakes,
            "queue_max_size": settings.hard_buffer,
            "history_max_publication_limit": settings.history_max,
            "recovery_max_publication_limit": settings.recover_rows,
        },
        "websocket": {"message_size_limit": settings.frame_max},
        "channel": {
            "proxy": channel,
            "namespaces": [_namespace(settings, one, log=log) for one, log in families],
        },
        "rpc": {"proxy": _proxy(backend, "rpc"), "without_namespace": {"proxy_enabled": True}},
    }


def _proxy(backend: str, name: str) -> dict[str, Any]:
    return {
        "endpoint": f"{backend.rstrip('/')}{PATH}/{name}",
        "timeout": "5s",
        "http_headers": (["authorization"] if name == "connect" else []) + _FORWARDED,
        "http": {"static_headers": {HEADER: PROXY_SECRET}},
    } | ({} if name == "connect" else {"include_connection_meta": True})


def _namespace(settings: RealtimeSettings, one: Namespace, *, log: bool) -> dict[str, Any]:
    """Write one family; who is connected is told by who hears the `user` channels.

    Centrifugo's cache knows no policies: what has a log is recovered from it only by those for whom the proxy says
    so, and its history is read from corekit.
    """
    options: dict[str, Any] = {"name": one.name}
    if one.presence or one is USER:
        options["presence"] = True
    if one.presence:
        options["allow_presence_for_subscriber"] = True
    if one.join_leave:
        options |= {"join_leave": True, "force_push_join_leave": True}  # a proxied subscription cannot ask for them
    if log or one is USER:
        options |= {"history_size": settings.recover_rows, "history_ttl": "10m"}
    if one is USER:
        options |= {"force_recovery": True, "allow_history_for_subscriber": True}
    if not one.server_side:
        options |= {"subscribe_proxy_enabled": True, "sub_refresh_proxy_enabled": True}
    if one.publish and not log:
        options["publish_proxy_enabled"] = True
    return options


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"
