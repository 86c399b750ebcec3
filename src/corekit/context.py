"""Who acts and from where (`Caller`), and one unit of work of theirs (`Context`): one actor, one transaction."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from typing_extensions import TypeForm

from corekit.actors import NOBODY, Actor, Client, Kind, Proof
from corekit.data import Database, Keyring, Lane, LaneSpec, Read, Row, Sealed, Work
from corekit.data.crypto import reveal, unseal
from corekit.data.ending import to_the_end
from corekit.data.engines import Rights
from corekit.data.outbox import Delivery
from corekit.data.policy import Identity
from corekit.data.redis import Redis
from corekit.errors import Forbidden, ReadonlyContext, Refused, Unauthenticated
from corekit.hooks import Hooks
from corekit.values import Clock, trace_id
from corekit.watch.logs import get_logger

T = TypeVar("T")
Item = TypeVar("Item")
Done = TypeVar("Done")
__all__ = ["NOBODY", "Actor", "Caller", "Client", "Context", "Kind", "Kit", "Proof", "demand"]


class Kit(Protocol):
    """What plugins see of the kit that holds them; `Corekit` implements it."""

    env: str
    clock: Clock
    hooks: Hooks
    database: Database
    keyring: Keyring
    redis: Redis | None
    alone: bool  # whether no other process works on this database

    @property
    def started(self) -> bool:
        """Whether every plugin's lifespan has begun."""
        ...

    def get(self, type_: TypeForm[T]) -> T:
        """Return the service that provides `type_`; a PluginError where none does."""
        ...

    def find(self, type_: TypeForm[T]) -> T | None:
        """Return the service that provides `type_`, or None."""
        ...

    def provide(self, type_: TypeForm[T], service: T) -> None:
        """Offer a service; called in a plugin's lifespan, for what its `provides` names."""
        ...

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the hot path of `spec` for the database in use."""
        ...

    def permissions(self, actor: Actor) -> frozenset[str]:
        """Return what an actor may do, from its roles and grants."""
        ...

    def demand_purpose(self, purpose: str) -> None:
        """Refuse a purpose that no plugin declares."""
        ...

    def caller(self, actor: Actor = ..., client: Client = ...) -> "Caller":
        """Make a caller: who acts and from where."""
        ...


@dataclass(frozen=True)
class Caller:
    """Who acts and from where; holds no transaction."""

    kit: Kit
    actor: Actor = NOBODY
    tenant: UUID | None = None
    locale: str = "en"
    request_id: str = field(default_factory=trace_id)
    client: Client = field(default_factory=Client)
    on_behalf_of: Actor | None = None
    delivery: Delivery | None = None  # in a listener or job: what it was handed

    @asynccontextmanager
    async def begin(
        self, *, readonly: bool = False, task: asyncio.Task[Any] | None = None
    ) -> AsyncGenerator["Context"]:
        """Open a unit of work: commit at the end, roll back if anything is raised but `Refused`.

        `task` is who works in it, where another task opens it for them.

        Raises:
            InsideContext: a writing context while this task holds any other.
            Unavailable: it held SQLite's writing slot for longer than `writer_hold_max_ms`, and is rolled back.
            ReadonlyContext: something was added to the session of a readonly context.

        """
        database = self.kit.database
        leave = database.enter(readonly=readonly, task=task)
        refused: Refused | None = None
        try:
            work = database.work(self.rights, readonly=readonly, identity=self.identity, task=task)
            context = Context(self, work)
            try:
                try:
                    yield context
                except Refused as refusal:
                    refused = refusal
                await (to_the_end(context.finish()) if context.callbacks or not readonly else work.commit())
            finally:
                await work.close()
        finally:
            leave()
        if refused is not None:
            raise refused

    async def read(self, read: Read, **values: Any) -> list[Row]:
        """Run a hot read, in a transaction of its own.

        Raises:
            InsideContext: this task holds a context, whose session is to read what its transaction sees.

        """
        self.demand_free("a read")
        return await self.kit.database.read(read, values, identity=self.identity, rights=self.rights)

    async def reveal(self, attribute: InstrumentedAttribute[Any], pk: Any, sealed: Sealed) -> Any:
        """Decrypt what a read has brought of the row `pk` (DecryptFailed)."""
        if (key := self.kit.database.keys.known(sealed)) is not None:
            return unseal(key, attribute, pk, sealed)
        async with self.begin(readonly=True) as ctx:
            return await reveal(ctx.session, attribute, pk, sealed)

    def system(self, purpose: str) -> "Caller":
        """Elevate for a purpose that a plugin declares; the person stays known as `on_behalf_of`."""
        self.kit.demand_purpose(purpose)
        return replace(self, actor=Actor.system(purpose), on_behalf_of=self.person)

    @property
    def person(self) -> Actor | None:
        """Whom this is done for: whoever an elevated caller acts for, otherwise the actor; nobody is no person."""
        return self.on_behalf_of or (self.actor if self.actor.kind in {"user", "service"} else None)

    @property
    def rights(self) -> Rights:
        """What of the database their work reaches: all of it where they are elevated, otherwise what policies let."""
        return "service" if self.actor.kind == "system" else "app"

    @property
    def identity(self) -> Identity:
        """Whom policies see."""
        actor = None if self.actor.kind == "nobody" else self.actor.id
        return Identity(actor, self.tenant, self.kit.permissions(self.actor))

    def demand_free(self, verb: str) -> None:
        """Refuse to run a verb that takes `caller` while this task holds a context (InsideContext)."""
        self.kit.database.demand_free(verb)


@dataclass(frozen=True)
class Context:
    """A caller inside one transaction."""

    caller: Caller
    work: Work
    callbacks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def kit(self) -> Kit:
        """The kit that this work belongs to."""
        return self.caller.kit

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return self.caller.actor

    @property
    def tenant(self) -> UUID | None:
        """The tenant, where the kit has several."""
        return self.caller.tenant

    @property
    def on_behalf_of(self) -> Actor | None:
        """The person for whom an elevated context works."""
        return self.caller.on_behalf_of

    @property
    def readonly(self) -> bool:
        """Whether this context may write."""
        return self.work.readonly

    @property
    def session(self) -> AsyncSession:
        """The ORM session; the first statement borrows the connection. Nobody calls commit: `begin` does."""
        return self.work.session

    async def reveal(self, attribute: InstrumentedAttribute[Any], pk: Any, sealed: Sealed) -> Any:
        """Decrypt what a Core statement or a single column has read of the row `pk` (DecryptFailed)."""
        return await reveal(self.session, attribute, pk, sealed)

    def now(self) -> datetime:
        """Return the kit's time."""
        return self.kit.clock.now()

    def get(self, type_: TypeForm[T]) -> T:
        """Return the service that provides `type_`."""
        return self.kit.get(type_)

    def find(self, type_: TypeForm[T]) -> T | None:
        """Return the service that provides `type_`, or None."""
        return self.kit.find(type_)

    def demand_writing(self, what: str) -> None:
        """Refuse what writes in a readonly context (ReadonlyContext), where it would vanish without a word."""
        if self.readonly:
            raise ReadonlyContext(f"{what} needs a writing context, this one is readonly")

    def on_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this after the commit; a rollback drops it. For signals only: what must happen is an event or a job."""
        self.callbacks.append(callback)

    async def finish(self) -> None:
        """Commit, then make the calls that waited for it; one that fails is logged, because the work itself stands."""
        await self.work.commit()
        for callback in self.callbacks:
            try:
                await callback()
            except Exception:  # noqa: BLE001  # whatever it raises, the commit cannot be taken back
                get_logger("corekit.context").exception("on_commit_failed", request_id=self.caller.request_id)

    def demand(self, permission: str | None = None, *, aal: int = 1, max_age: float | None = None) -> None:
        """Refuse an actor who lacks the permission or whose sign-in is too weak or too old (seconds).

        Raises:
            Unauthenticated: nobody, or a stronger or fresher sign-in is needed (RFC 9470).
            Forbidden: the permission is missing.

        """
        demand(self.kit, self.actor, permission, aal=aal, max_age=max_age)


def demand(kit: Kit, actor: Actor, permission: str | None, *, aal: int = 1, max_age: float | None = None) -> None:
    """Do what `Context.demand` says, for callers that hold no context."""
    if actor.kind == "nobody":
        raise Unauthenticated
    if actor.kind == "system":
        return
    if permission is not None and permission not in kit.permissions(actor):
        raise Forbidden(f"needs the permission {permission}")
    proof = actor.proof or Proof()
    signed_in = proof.authenticated_at
    too_old = max_age is not None and (signed_in is None or (kit.clock.now() - signed_in).total_seconds() > max_age)
    if proof.aal < aal or too_old:
        challenge = f'Bearer error="insufficient_user_authentication", acr_values="aal{aal}"'
        raise Unauthenticated(
            "a stronger or fresher sign-in is needed",
            challenge=challenge + (f", max_age={max_age:.0f}" if max_age is not None else ""),
        )
