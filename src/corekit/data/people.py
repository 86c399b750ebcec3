"""The data keys: one per person and one of the system, wrapped by the keyring; deleting a person's shreds all of it."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from secrets import token_bytes
from typing import Annotated, Any, Protocol
from uuid import UUID

from sqlalchemy import Index, delete, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, mapped_column

from corekit.data.base import Base
from corekit.data.crypto.columns import SYSTEM, Opens, keys_of
from corekit.data.crypto.keyring import Keyring
from corekit.data.crypto.keys import SIZE, Key, Sealed, key_id, to_bytes, to_text
from corekit.data.pii import PII
from corekit.data.policy import Policy
from corekit.errors import DecryptFailed, Forbidden

_MADE = "corekit_keys_made"
_SYSTEM_NAME = "@system"


class DekRow(Base):
    """A data encryption key of one person, sealed by the keyring's key `key_id`."""

    __tablename__ = "corekit_dek"

    subject: Mapped[Annotated[UUID, PII("id", subject="subject")]] = mapped_column(primary_key=True)
    wrapped: Mapped[str]
    key_id: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_corekit_dek_key_id", "key_id"),)


# A wrapped key opens nothing without the keyring, and whoever may read a row must be able to open it; so people's
# contexts find keys and make them. Only what is elevated changes or deletes one.
Policy(DekRow, read=lambda _: true(), insert=lambda _: true(), reason="Sealed by the keyring, which lies elsewhere.")


class DataKeys:
    """Finds and makes the data keys, and keeps `size` of them; a shredded one, in another process, for `seconds`.

    A key that this transaction has made is not kept: it may roll back, and what no row's key opens is lost.
    """

    def __init__(
        self,
        keyring: Keyring,
        now: Callable[[], datetime],
        *,
        size: int = 4096,
        seconds: float = 60.0,
    ) -> None:
        self.keyring = keyring
        self._now = now
        self._size = size
        self._seconds = seconds
        self._kept: OrderedDict[UUID, tuple[float, Key]] = OrderedDict()

    def find(self, session: Session, name: str, place: str) -> Opens:
        """Return the key that a text names: a person's, the system's, or one of the keyring itself."""
        if not name.startswith("@"):
            return self.keyring
        subject = _subject(name, place)
        if key := self._known(session, subject) or self._read(session, [subject]).get(subject):
            return key
        raise DecryptFailed(f"{place} cannot be opened any more: the key that it was sealed with is deleted")

    def known(self, sealed: Sealed) -> Opens | None:
        """Return the key that a text names, where it is the keyring's or in memory."""
        name = key_id(sealed.text, "")
        return self._kept_of(_subject(name, "")) if name.startswith("@") else self.keyring

    def make(self, session: Session, subject: UUID) -> Key:
        """Return the key to seal with; made where there is none, in the session's transaction."""
        if key := self._known(session, subject) or self._read(session, [subject]).get(subject):
            return key
        session.info.setdefault(_MADE, set()).add(subject)
        wrapped = self.keyring.seal(token_bytes(SIZE), wrap_place(subject))
        values = {
            "subject": subject,
            "wrapped": wrapped,
            "key_id": key_id(wrapped, ""),
            "created_at": self._now(),
        }
        insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        session.execute(insert(DekRow.__table__).values(values).on_conflict_do_nothing())  # type: ignore[arg-type]
        return self._read(session, [subject])[subject]  # ours, or that of who was faster

    async def prefetch(self, session: AsyncSession, subjects: Iterable[UUID]) -> None:
        missing = [subject for subject in set(subjects) if self._known(session.sync_session, subject) is None]
        if missing:
            await session.run_sync(self._read, missing)

    def forget(self, subject: UUID) -> None:
        """Drop a key from memory."""
        self._kept.pop(subject, None)

    def _known(self, session: Session, subject: UUID) -> Key | None:
        return None if subject in session.info.get(_MADE, ()) else self._kept_of(subject)

    def _kept_of(self, subject: UUID) -> Key | None:
        until, key = self._kept.get(subject, (0.0, None))
        if key is None:
            return None
        if subject != SYSTEM and until < time.monotonic():
            del self._kept[subject]
            return None
        self._kept.move_to_end(subject)
        return key

    def _read(self, session: Session, subjects: list[UUID]) -> dict[UUID, Key]:
        statement = select(DekRow.subject, DekRow.wrapped).where(DekRow.subject.in_(subjects))
        with session.no_autoflush:
            rows = session.execute(statement).all()
        found = {}
        for subject, wrapped in rows:
            try:
                found[subject] = self._unwrap(subject, wrapped)
            except DecryptFailed:
                if len(subjects) == 1:  # of many, each reader of it will be told
                    raise
        for subject in found.keys() - session.info.get(_MADE, set()):
            self._kept[subject] = (time.monotonic() + self._seconds, found[subject])
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return found

    def _unwrap(self, subject: UUID, wrapped: str) -> Key:
        name = _SYSTEM_NAME if subject == SYSTEM else f"@{to_text(subject.bytes)}"
        return Key(name, self.keyring.open(wrapped, wrap_place(subject)))


async def prefetch(session: AsyncSession, subjects: Iterable[UUID]) -> None:
    """Read many people's keys in one statement, before a list of their rows costs one each."""
    await keys_of(session.sync_session).prefetch(session, subjects)


class Unit(Protocol):
    """What `shred` needs of a context."""

    @property
    def actor(self) -> Any:
        """Who acts."""
        ...

    @property
    def session(self) -> AsyncSession:
        """Its session."""
        ...

    def demand_writing(self, what: str) -> None:
        """Refuse a readonly one."""
        ...

    def on_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this after the commit."""
        ...


async def shred(ctx: Unit, subject: UUID) -> bool:
    """Delete a person's key: what was sealed with it opens nowhere again (docs/how-to/keys.md says what backups need).

    Other processes may go on with a key that they have read for a minute. Returns whether there was one.

    Raises:
        Forbidden: not in a system purpose; as a person it would find no row to delete, and say nothing.

    """
    ctx.demand_writing("shred")
    if ctx.actor.kind != "system" or subject == SYSTEM:
        raise Forbidden("a person's key is deleted by a system purpose")
    keys = keys_of(ctx.session.sync_session)

    async def forget() -> None:
        keys.forget(subject)

    ctx.session.sync_session.info.setdefault(_MADE, set()).add(subject)  # from now on it asks the database
    ctx.on_commit(forget)
    statement = delete(DekRow).where(DekRow.subject == subject).returning(DekRow.subject)
    return (await ctx.session.execute(statement.execution_options(synchronize_session=False))).first() is not None


def _subject(name: str, place: str) -> UUID:
    try:
        return SYSTEM if name == _SYSTEM_NAME else UUID(bytes=to_bytes(name[1:]))
    except ValueError:
        raise DecryptFailed(f"{place} does not open: it names no key") from None


def wrap_place(subject: UUID) -> str:
    """Bind a wrapped key to its row."""
    return f"corekit_dek.wrapped.{subject}"
