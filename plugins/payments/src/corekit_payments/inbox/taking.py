"""Taking notices: verified over their bytes, kept once, and left for a job; nothing else is done in the request."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Caller, Context, Kit
from corekit.contracts.payments import Headers, ProviderEvent
from corekit.data.base import table_of
from corekit.data.crypto import seal
from corekit.errors import NotFound
from corekit.jobs import enqueue
from corekit.watch import get_logger
from corekit_payments.errors import WebhookRefused
from corekit_payments.inbox.rejections import Rejections
from corekit_payments.inbox.rows import WebhookInboxRow
from corekit_payments.models import PURPOSE
from corekit_payments.providers import Providers

TABLE = table_of(WebhookInboxRow)
_ID_MAX = 255
_KEPT = ("content-type", "user-agent")  # besides those that carry a signature or an id
_MARKS = ("signature", "event-id", "timestamp")
_HEADER_MAX = 1024
_NUL = b"\\u0000"  # as JSON writes it; PostgreSQL takes none


class NoticeKey(msgspec.Struct, frozen=True):
    """A notice, by the instance that it came from and the id that it has there."""

    provider: str
    event_id: str


Work = Callable[[Caller, NoticeKey], Awaitable[None]]


class Inbox:
    """Takes what comes for the enabled instances; `work` is the job that goes on with a notice."""

    def __init__(self, kit: Kit, providers: Providers, work: Work, *, live: bool) -> None:
        self.rejections = Rejections()
        self._kit = kit
        self._providers = providers
        self._work = work
        self._live = live

    async def take(self, caller: Caller, instance: str, headers: Headers, raw: bytes) -> int:
        """Keep the notices in a request, and return how many of them are new.

        Raises:
            NotFound: there is no such instance, or it is not enabled.
            WebhookRefused: no secret of the instance has signed these bytes just now, or they cannot be read.

        """
        provider = self._providers.named(instance)
        if provider is None:
            raise NotFound
        system = replace(self._kit.caller(), request_id=caller.request_id).system(PURPOSE)
        try:
            events = [_checked(event, raw) for event in provider.verify(headers, raw)]
        except ValueError as why:
            await self.rejections.count(system, instance, why)
            raise WebhookRefused from None
        kept = _kept(headers)
        async with system.begin() as ctx:
            return sum([await self._keep(ctx, instance, event, kept, raw) for event in events])

    async def _keep(
        self, ctx: Context, instance: str, event: ProviderEvent, headers: dict[str, str], raw: bytes
    ) -> bool:
        """Insert first: who comes second finds it there, and has nothing to do."""
        key = NoticeKey(instance, event.id)
        foreign = event.live != self._live
        sealed = await seal(ctx.session, WebhookInboxRow.raw, (key.provider, key.event_id), raw)
        values: dict[str, Any] = {
            "provider": key.provider, "event_id": key.event_id, "received_at": ctx.now(), "raw": sealed,
            "headers": headers, "event": msgspec.to_builtins(event), "tries": 0,
            "state": "ignored" if foreign else "received", "error": "livemode" if foreign else None,
        }  # fmt: skip
        insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
        made = insert(TABLE).values(values).on_conflict_do_nothing().returning(TABLE.c.event_id)
        if (await ctx.session.execute(made)).scalar_one_or_none() is None:
            return False
        if foreign:
            get_logger("corekit.payments").error("payments_webhook_livemode", reason=f"{instance}: live={event.live}")
        else:
            await enqueue(ctx, self._work, key)
        return True


def _checked(event: ProviderEvent, raw: bytes) -> ProviderEvent:
    """Give one without a usable id the digest of its body, and refuse what cannot be stored (ValueError)."""
    if _NUL in msgspec.json.encode(event):
        raise ValueError("a notice with a NUL in it")
    if 0 < len(event.id) <= _ID_MAX and event.id.isprintable():
        return event
    return msgspec.structs.replace(event, id=hashlib.sha256(raw).hexdigest())


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep what says how it was signed and by what; no address, no cookie, nothing else that a proxy adds."""
    given = {name.lower(): value for name, value in headers.items()}
    return {
        name: value[:_HEADER_MAX]
        for name, value in given.items()
        if (name in _KEPT or name.endswith(_MARKS)) and value.isprintable()
    }
