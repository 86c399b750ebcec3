"""Choosing Centrifugo: the names of its messages, settings, the configuration that is printed, what is registered."""

import sys
from pathlib import Path
from typing import Any

import cent
import msgspec
import pytest
from click.testing import CliRunner
from realtime_beside import SECRET, BesideCentrifugo
from realtime_centrifugo import API, OPTIONS, PROXY, Schema, Unfit, options
from realtime_town import TownPlugin, room

from corekit import Caller
from corekit.cli.main import cli
from corekit.contracts.realtime import Namespace, Realtime, method
from corekit.errors import ConfigError, PluginError
from corekit.settings import Config, Secret
from corekit.testing import make_kit
from corekit_realtime import RealtimePlugin, RealtimeSettings
from corekit_realtime.centrifugo import calls, proxied
from corekit_realtime.centrifugo.example import PROXY_SECRET, example
from corekit_realtime.protocol import Error

FITTING: dict[str, Any] = {
    "mode": "centrifugo",
    "centrifugo_url": "http://centrifugo.internal:8000/api",
    "centrifugo_api_key": Secret("key"),
    "centrifugo_proxy_secret": Secret(SECRET),
}
PROXIED = {
    "ConnectRequest": proxied.ConnectRequest,
    "RefreshRequest": proxied.RefreshRequest,
    "SubRefreshRequest": proxied.RefreshRequest,
    "SubscribeRequest": proxied.ChannelRequest,
    "PublishRequest": proxied.ChannelRequest,
    "RPCRequest": proxied.RpcRequest,
    "ConnectResult": proxied.ConnectResult,
    "RefreshResult": proxied.RefreshResult,
    "SubRefreshResult": proxied.RefreshResult,
    "SubscribeResult": proxied.SubscribeResult,
    "PublishResult": proxied.DataResult,
    "RPCResult": proxied.DataResult,
    "ConnectResponse": proxied.Response,
    "SubscribeOptionOverride": proxied.Override,
    "BoolValue": proxied.BoolValue,
    "Disconnect": proxied.Disconnect,
    "Error": Error,
}
CALLED = {
    "PublishRequest": (calls.Publish, cent.PublishRequest),
    "UnsubscribeRequest": (calls.Unsubscribe, cent.UnsubscribeRequest),
    "DisconnectRequest": (calls.DisconnectUser, cent.DisconnectRequest),
    "Disconnect": (calls.Disconnect, cent.Disconnect),
    "PresenceRequest": (calls.OfChannel, cent.PresenceRequest),
    "PresenceStatsRequest": (calls.OfChannel, cent.PresenceStatsRequest),
    "InfoRequest": (calls.Info, cent.InfoRequest),
}


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def test_the_names_of_the_proxys_messages_are_published_ones() -> None:
    schema = Schema("names", PROXY)
    for message, struct in PROXIED.items():
        assert names(struct) <= schema.fields(message), message


def test_the_names_of_the_apis_messages_are_published_ones_and_the_official_clients() -> None:
    schema = Schema("names", API)
    for message, (struct, official) in CALLED.items():
        assert names(struct) <= schema.fields(message), message
        assert names(struct) <= set(official.model_fields), message


@pytest.mark.parametrize(
    ("message", "value", "why"),
    [
        ("PublishRequest", {"chanel": "a"}, "chanel is unknown"),
        ("PublishRequest", {"channel": 1}, "channel is no str"),
        ("PublishRequest", {"channel": "a", "skip_history": 1}, "is no bool"),
        ("BroadcastRequest", {"channels": "a"}, "is no list"),
        ("BroadcastRequest", {"tags": {"a": 1}}, "tags is no str"),
        ("DisconnectRequest", {"disconnect": {"code": -1}}, "code is no whole number"),
        ("DisconnectRequest", {"disconnect": {"code": True}}, "code is no whole number"),
        ("DisconnectRequest", {"disconnect": []}, "is no object"),
    ],
)
def test_the_reader_is_strict(message: str, value: Any, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        Schema("strict", API).check(message, value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"centrifugo_url": ""}, "centrifugo_url"),
        ({"centrifugo_url": "centrifugo.internal:8000"}, "centrifugo_url"),
        ({"centrifugo_url": "ftp://centrifugo.internal"}, "centrifugo_url"),
        ({"centrifugo_api_key": None}, "centrifugo_api_key"),
        ({"centrifugo_api_key": Secret("")}, "centrifugo_api_key"),
        ({"centrifugo_proxy_secret": None}, "centrifugo_proxy_secret"),
        ({"centrifugo_proxy_secret": Secret("short")}, "centrifugo_proxy_secret"),
        ({"centrifugo_queue": 0}, "centrifugo_queue"),
        ({"centrifugo_timeout": 0.0}, "centrifugo_timeout"),
    ],
)
def test_settings_that_cannot_work_are_named(change: dict[str, Any], named: str) -> None:
    RealtimeSettings(**FITTING)
    with pytest.raises(ConfigError, match=rf"^\[realtime\] {named}\b"):
        RealtimeSettings(**(FITTING | change))


def test_the_mode_and_its_secrets_come_from_the_environment() -> None:
    environ = {
        "COREKIT_REALTIME__MODE": "centrifugo",
        "COREKIT_REALTIME__CENTRIFUGO_URL": "https://c.internal/api",
        "COREKIT_REALTIME__CENTRIFUGO_API_KEY": "key",
        "COREKIT_REALTIME__CENTRIFUGO_PROXY_SECRET": SECRET,
    }
    config = Config.load(env="dev", environ=environ)
    assert config.table("realtime", RealtimeSettings).centrifugo_proxy_secret == Secret(SECRET)
    assert SECRET not in str(config.explain("realtime", RealtimeSettings))
    with pytest.raises(ConfigError, match=r"realtime\.mode.*centrifugo, gateway"):
        Config.load(env="dev", environ={"COREKIT_REALTIME__MODE": "other"}).table("realtime", RealtimeSettings)


async def test_without_httpx_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigError, match=r"corekit-realtime\[centrifugo\]"):
        async with make_kit([RealtimePlugin(RealtimeSettings(**FITTING))]):
            pass


class Late:
    """A method that comes too late."""

    @method("late")
    async def late(self, caller: Caller, request: dict[str, int]) -> int:
        return 1


async def test_nothing_can_be_added_after_the_first_request(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        realtime = town.kit.get(Realtime)
        with pytest.raises(PluginError, match=r"'room'.*realtime_town.*test_centrifugo_setup"):
            realtime.add(Namespace("room", prefix="abc"))
        await town.of("alice", "subscribe", channel=room("a"))
        with pytest.raises(PluginError, match="too late"):
            realtime.add(Namespace("late", prefix="lat"))
        with pytest.raises(PluginError, match="too late"):
            realtime.methods(Late())


async def test_the_configuration_knows_the_channels_of_the_plugins() -> None:
    realtime = RealtimePlugin(RealtimeSettings(ping=20.0, pong_timeout=2.5, origins=("https://app.example",)))
    async with make_kit([realtime, TownPlugin()]) as kit:
        written = example(realtime.settings, kit.get(Realtime).surface().namespaces, "http://corekit.internal/")
    assert options(written) <= OPTIONS
    found = {one.pop("name"): set(one) for one in written["channel"]["namespaces"]}
    kept = {"history_size", "history_ttl"}
    asked = {"subscribe_proxy_enabled", "sub_refresh_proxy_enabled"}
    seen = {"presence", "allow_presence_for_subscriber", "join_leave", "force_push_join_leave"}
    assert found == {
        "user": kept | {"presence", "force_recovery", "allow_history_for_subscriber"},
        "room": kept | asked | seen,
        "square": asked | seen | {"publish_proxy_enabled"},
        "board": kept,
    }
    assert written["client"]["ping_interval"] == "20s"
    assert written["client"]["pong_timeout"] == "2.5s"
    assert written["client"]["allowed_origins"] == ["https://app.example"]
    connect, refresh = written["client"]["proxy"]["connect"], written["client"]["proxy"]["refresh"]
    assert connect["endpoint"] == "http://corekit.internal/realtime/v1/centrifugo/connect"
    assert "authorization" in connect["http_headers"]
    assert "authorization" not in refresh["http_headers"]
    assert refresh["include_connection_meta"] is True
    assert refresh["http"]["static_headers"] == {"X-Corekit-Proxy-Secret": PROXY_SECRET}


async def test_the_configuration_names_endpoints_that_are_there(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        written = example(RealtimeSettings(**FITTING), town.centrifugo.namespaces.surface(), str(town.http.base_url))
        proxies = [*written["client"]["proxy"].values(), *written["channel"]["proxy"].values(), written["rpc"]["proxy"]]
        assert len({one["endpoint"] for one in proxies}) == 6
        for one in proxies:
            assert (await town.http.post(one["endpoint"], content=b"{}")).status_code == 422


def test_the_command_prints_it_without_a_secret(tmp_path: Path) -> None:
    environ = {
        "COREKIT_REALTIME__MODE": "centrifugo",
        "COREKIT_REALTIME__CENTRIFUGO_URL": "http://127.0.0.1:1/api",
        "COREKIT_REALTIME__CENTRIFUGO_API_KEY": "the real key",
        "COREKIT_REALTIME__CENTRIFUGO_PROXY_SECRET": SECRET,
        "COREKIT_ENV": "dev",
    }
    called = ["realtime", "centrifugo-config", "--backend", "https://api.example", "--data-dir", str(tmp_path)]
    ran = CliRunner(env=environ).invoke(cli, called)
    assert ran.exit_code == 0, ran.output
    written = msgspec.json.decode(ran.stdout)
    assert [one["name"] for one in written["channel"]["namespaces"]] == ["conv", "eph", "user"]
    assert written["rpc"]["proxy"]["endpoint"] == "https://api.example/realtime/v1/centrifugo/rpc"
    assert SECRET not in ran.output
    assert "the real key" not in ran.output
