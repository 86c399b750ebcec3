"""What Centrifugo asks before it does what clients want: answered by the hooks and methods of the gateway."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from corekit.context import Actor, Caller, Kit
from corekit.contracts.realtime import Grant, Hello
from corekit.errors import Invalid, Problem, Unavailable
from corekit.guard.limits import MemoryLimits, Rule, address_key
from corekit.values import typeid
from corekit.watch.logs import get_logger
from corekit_realtime.asked import NAME_MAX, demand_signals, grant, identify, signal, welcome
from corekit_realtime.centrifugo.proxied import (
    BoolValue,
    ChannelRequest,
    ConnectRequest,
    ConnectResult,
    DataResult,
    Disconnect,
    Held,
    Override,
    RefreshRequest,
    RefreshResult,
    Response,
    Result,
    RpcRequest,
    SubscribeOptions,
    SubscribeResult,
)
from corekit_realtime.channels import Namespaces, Place
from corekit_realtime.codes import (
    BAD_REQUEST,
    CONNECTION_EXPIRED,
    INVALID_TOKEN,
    METHOD_NOT_FOUND,
    PERMISSION_DENIED,
    REFUSED,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    Ending,
    Refusal,
    error_of,
    fault_of,
)
from corekit_realtime.methods import Methods, outcome
from corekit_realtime.node import user_channel
from corekit_realtime.protocol import Data, Error, decoded, encoded
from corekit_realtime.settings import RealtimeSettings


class Asked(NamedTuple):
    """One request: who brings it, and the bearer token of the client's own headers, where Centrifugo hands them on."""

    caller: Caller
    request: Any
    bearer: str = ""


class Verb(NamedTuple):
    """How to read a request, how to answer it, and whether Centrifugo keeps what it has where there is no answer."""

    request: type[Struct]
    answer: Callable[[Asked], Awaitable[Result]]
    keeps: bool = False


class Proxy:
    """Answers; every answer but `connect`'s is for whom the token speaks that `connect` had Centrifugo keep."""

    def __init__(self, kit: Kit, settings: RealtimeSettings, namespaces: Namespaces, methods: Methods) -> None:
        self._kit = kit
        self._settings = settings
        self._namespaces = namespaces
        self._methods = methods
        self._limits = MemoryLimits(kit.clock)
        rate, signals = settings.commands_rate, settings.publish_rate
        self._commands = Rule("realtime.proxied", rate, 1, max(rate, settings.commands_burst), "session")
        self._signals = Rule("realtime.proxied_signals", signals, 1, signals, "session")
        per_address = settings.handshakes_ip_rate
        self._address = Rule("realtime.proxied_ip", per_address, 1, max(per_address, settings.handshakes_ip_burst))
        self._verbs: Mapping[str, Verb] = {
            "connect": Verb(ConnectRequest, self._connect),
            "refresh": Verb(RefreshRequest, self._refresh, keeps=True),
            "subscribe": Verb(ChannelRequest, self._subscribe),
            "sub_refresh": Verb(ChannelRequest, self._sub_refresh, keeps=True),
            "publish": Verb(ChannelRequest, self._publish),
            "rpc": Verb(RpcRequest, self._rpc),
        }

    async def answer(self, name: str, caller: Caller, body: bytes, bearer: str = "") -> Response:
        """Answer one request.

        Raises:
            Invalid: the body has not the form.
            Unavailable: a refresh cannot be decided now; Centrifugo asks again in a minute.

        """
        verb = self._verbs[name]
        try:
            request = msgspec.json.decode(body, type=verb.request)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Invalid("the body is no request of Centrifugo's proxy") from None
        self._namespaces.close()
        self._methods.close()
        try:
            return Response(result=await verb.answer(Asked(caller, request, bearer)))
        except Refusal as refusal:
            return _refused(refusal)
        except Ending as ending:
            return Response(disconnect=Disconnect(ending.close.code, ending.close.reason))
        except Problem as problem:
            if verb.keeps:
                raise Unavailable from problem
            return Response(error=error_of(problem))
        except Exception as error:
            get_logger("corekit.realtime").exception(
                "command_failed", method=name, request_id=caller.request_id, error=type(error).__name__
            )
            if verb.keeps:
                raise Unavailable from error
            return Response(error=fault_of(error))

    async def _connect(self, asked: Asked) -> ConnectResult:
        request: ConnectRequest = asked.request
        await self._demand_rate(self._address, address_key(asked.caller.client.address))
        token, data = _token(_value(request.data), asked.bearer)
        actor = await identify(self._kit, asked.caller, token)
        hello = Hello(request.client, request.name[:NAME_MAX], request.version[:NAME_MAX], data)
        try:
            welcomed = await welcome(replace(asked.caller, actor=actor), hello)
        except Problem as problem:
            raise Ending(REFUSED) from problem
        channels = (user_channel(actor.id), *welcomed.channels)
        return ConnectResult(
            user=typeid("usr", actor.id),
            meta=Held(token),
            expire_at=self._until(actor),
            info=encoded(welcomed.conn_info),
            data=encoded(welcomed.data),
            subs={channel: SubscribeOptions() for channel in channels if self._known(channel)},
        )

    async def _refresh(self, asked: Asked) -> RefreshResult:
        try:
            person = await self._person(asked)
        except (Refusal, Ending):
            return RefreshResult(expired=True)  # its client connects again, and hears why not
        return RefreshResult(expire_at=self._until(person.actor))

    async def _subscribe(self, asked: Asked) -> SubscribeResult:
        person, place = await self._allowed(asked)
        if place.namespace.server_side:
            raise Refusal(PERMISSION_DENIED)
        granted = await self._grant(person, place, asked.request)
        return SubscribeResult(self._good_until(granted), encoded(granted.info), _override(place, granted))

    async def _sub_refresh(self, asked: Asked) -> RefreshResult:
        place = self._namespaces.parse(asked.request.channel)
        try:
            granted = await self._grant(await self._person(asked), place, asked.request)
        except (Refusal, Ending):
            return RefreshResult(expired=True)
        except Problem as problem:
            if problem.temporary:
                raise
            return RefreshResult(expired=True)
        return RefreshResult(expire_at=self._good_until(granted))

    async def _publish(self, asked: Asked) -> DataResult:
        person, place = await self._allowed(asked)
        demand_signals(place)
        await self._demand_rate(self._signals, asked.request.client)
        return DataResult(Raw(await signal(person, place, asked.request.data)))

    async def _rpc(self, asked: Asked) -> DataResult:
        request: RpcRequest = asked.request
        await self._demand_rate(self._commands, request.client)
        person = await self._person(asked)
        method = self._methods.find(request.method)
        if method is None:
            raise Refusal(METHOD_NOT_FOUND)
        answer = await outcome(method, person, b"" if isinstance(request.data, UnsetType) else bytes(request.data))
        if isinstance(answer, Error):
            raise Refusal(answer)
        return DataResult(Raw(answer))

    async def _allowed(self, asked: Asked) -> tuple[Caller, Place]:
        await self._demand_rate(self._commands, asked.request.client)
        return await self._person(asked), self._namespaces.parse(asked.request.channel)

    async def _person(self, asked: Asked) -> Caller:
        """Return for whom Centrifugo asks; what it keeps is not enough, the token must still be good."""
        request: RefreshRequest = asked.request
        actor = await identify(self._kit, asked.caller, request.meta.token if request.meta else "")
        if request.user != typeid("usr", actor.id):
            raise Ending(INVALID_TOKEN)
        return replace(asked.caller, actor=actor)

    async def _grant(self, person: Caller, place: Place, request: ChannelRequest) -> Grant:
        async with person.begin(readonly=True) as ctx:
            return await grant(ctx, place, _value(request.data))

    async def _demand_rate(self, rule: Rule, key: str) -> None:
        if not (await self._limits.hit(rule, key)).allowed:
            raise Refusal(TOO_MANY_REQUESTS)

    def _known(self, channel: str) -> bool:
        """Leave out what a plugin misspelt: Centrifugo would refuse the whole connection."""
        try:
            self._namespaces.parse(channel)
        except Refusal as refusal:
            get_logger("corekit.realtime").error(
                "server_side_subscription_failed", channel_namespace=channel.partition(":")[0], error=str(refusal)
            )
            return False
        return True

    def _until(self, actor: Actor) -> int:
        """Say when Centrifugo is to ask again whether somebody may stay."""
        return self._soonest(self._settings.reauthorise, actor.proof.expires_at if actor.proof else None)

    def _good_until(self, granted: Grant) -> int:
        return self._soonest(self._settings.centrifugo_sub_refresh, granted.expires_at)

    def _soonest(self, seconds: float, end: datetime | None) -> int:
        """Return seconds of the epoch, in the future: Centrifugo takes a past moment for a refusal."""
        now = self._kit.clock.now().timestamp()
        latest = now + seconds if end is None else min(now + seconds, end.timestamp())
        return max(math.floor(latest), math.floor(now) + 1)


def _override(place: Place, granted: Grant) -> Override | UnsetType:
    """Say where a subscription differs: Centrifugo's cache gives a log's entries only to those who may see them all."""
    recovered = BoolValue(value=True) if granted.replay and place.log is not None else UNSET
    silent = UNSET if granted.join_leave else BoolValue(value=False)
    return UNSET if recovered is silent is UNSET else Override(recovered, silent)


def _value(data: Data) -> Any:
    try:
        return decoded(data)
    except (msgspec.MsgspecError, ValueError):
        raise Refusal(BAD_REQUEST) from None


def _token(data: Any, bearer: str) -> tuple[str, Any]:
    """Take the token out of what a client sends along when it connects; the rest is its own."""
    if not isinstance(data, dict) or not isinstance(data.get("token"), str):
        return bearer, data
    return data["token"], {key: value for key, value in data.items() if key != "token"} or None


def _refused(refusal: Refusal) -> Response:
    """Answer with an error; where the token has expired the client connects again, for only then it brings another."""
    if refusal.error is TOKEN_EXPIRED:
        return Response(disconnect=Disconnect(CONNECTION_EXPIRED.code, CONNECTION_EXPIRED.reason))
    return Response(error=refusal.error)
