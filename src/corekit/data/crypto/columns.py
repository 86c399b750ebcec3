"""The column type `Encrypted`: an attribute of plain text over a column of sealed text.

The type itself takes and gives `Sealed` alone, so every way past the ORM fails closed. What knows the row and the keys
are events of each mapped class that has such a column (`protect`, called by `Base`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec
from sqlalchemy import Column, Dialect, Table, event, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, Mapper, Session, object_session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.types import Text, TypeDecorator

from corekit.data.crypto.keys import Key, Sealed, key_id
from corekit.errors import DecryptFailed, PluginError
from corekit.watch.logs import get_logger

KEYS = "corekit_keys"  # where a session carries its `Keys`
SYSTEM = UUID(int=0)  # the subject of what belongs to no person


class Opens(Protocol):
    """What opens a sealed text: a key, or the keyring for what is directly under it."""

    def open(self, sealed: str, place: str) -> bytes:
        """Decrypt (DecryptFailed)."""
        ...


class Keys(Protocol):
    """The data keys of one kit, wrapped in its database."""

    def find(self, session: Session, name: str, place: str) -> Opens:
        """Return the key that a text names (DecryptFailed)."""
        ...

    def known(self, sealed: Sealed) -> Opens | None:
        """Return the key that a text names, where that needs no look into the database."""
        ...

    def make(self, session: Session, subject: UUID) -> Key:
        """Return the key of a person or of the system; made where there is none, in the session's transaction."""
        ...

    async def prefetch(self, session: AsyncSession, subjects: Iterable[UUID]) -> None:
        """Read many people's keys in one statement."""
        ...

    def forget(self, subject: UUID) -> None:
        """Drop a key from memory."""
        ...


class Encrypted(TypeDecorator[Any]):
    """Text that only the kit's keyring opens: `private: Mapped[str] = mapped_column(Encrypted())`.

    With `subject`, the column that names the person, it is under that person's own key and goes when that goes
    (`shred`). `Encrypted(bytes)` holds bytes. Neither can be compared in SQL but with NULL; for look-ups keep
    `keyring.index(…)` in a column beside it.
    """

    impl = Text
    cache_ok = True

    def __init__(self, type_: type[str] | type[bytes] = str, *, subject: str = "") -> None:
        super().__init__()
        self.type_ = type_
        self.subject = subject

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002  # the base's signature
        if value is None or isinstance(value, Sealed):
            return value.text if value is not None else None
        raise TypeError(
            "an Encrypted column takes plain text only through the ORM's flush; seal it first, "
            "or add or change the object (bulk and Core statements do not know the row)"
        )

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sealed | None:  # noqa: ARG002
        return None if value is None else Sealed(value)


class _Field:
    """One encrypted attribute of a mapped class."""

    def __init__(self, mapper: Mapper[Any], column: Column[Any]) -> None:
        kind = column.type
        assert isinstance(kind, Encrypted)  # noqa: S101  # for the type checker: `protect` chose it
        self.key = mapper.get_property_by_column(column).key
        self.column = column
        self.kind = kind
        self.subject = ""
        if kind.subject:
            owner = column.table.columns.get(kind.subject)
            if owner is None:
                raise PluginError(f"{column}: Encrypted(subject={kind.subject!r}) names no column of its table")
            self.subject = mapper.get_property_by_column(owner).key

    def seal(self, session: Session, pk: Sequence[Any], subject: UUID, plain: Any) -> Sealed:
        """Encrypt a value for its row."""
        if not isinstance(plain, self.kind.type_):
            raise TypeError(f"{self.column} holds {self.kind.type_.__name__}, not {type(plain).__name__}")
        if self.kind.subject and (not isinstance(subject, UUID) or subject == SYSTEM):
            raise ValueError(f"{self.column} is under its person's key: set {self.kind.subject} before the flush")
        raw = plain.encode() if isinstance(plain, str) else bytes(plain)
        key = keys_of(session).make(session, subject if self.kind.subject else SYSTEM)
        return Sealed(key.seal(raw, place_of(self.column, pk)), plain)

    def opener(self, session: Session, pk: Sequence[Any], sealed: Sealed) -> "_Opener":
        """Find the key while there is a connection; decrypt when somebody asks."""
        place = place_of(self.column, pk)
        try:
            name = key_id(sealed.text, place)
            return _Opener(self, place, sealed.text, keys_of(session).find(session, name, place))
        except (DecryptFailed, PluginError) as error:
            return _Opener(self, place, sealed.text, error)


class _Opener:
    """A value that is decrypted when it is read: a row that cannot be opened harms only who needs it."""

    def __init__(self, field: _Field, place: str, text: str, key: Opens | Exception) -> None:
        self._field = field
        self._place = place
        self._text = text
        self._key = key

    def __call__(self, *_: object) -> Any:
        try:
            if isinstance(self._key, Exception):
                raise self._key.with_traceback(None)
            raw = self._key.open(self._text, self._place)
        except DecryptFailed as error:
            get_logger("corekit.data").error("decrypt_failed", reason=str(error))
            raise
        return raw.decode() if self._field.kind.type_ is str else raw


class _Protection:
    """Seals the encrypted attributes of one class as they are flushed, and opens them as they are read."""

    def __init__(self, fields: Sequence[_Field]) -> None:
        self._fields = fields

    def loaded(self, row: Any, *_: object) -> None:
        """Put an opener where the sealed text was; the loader calls this in the session's greenlet."""
        state, session = inspect(row), object_session(row)
        for field in self._fields:
            if session is not None:
                self._defer(session, state, field, state.key[1])

    def inserting(self, mapper: Mapper[Any], _: object, row: Any) -> None:
        """Seal what is there."""
        for field in self._fields:
            self._seal(mapper, row, field)

    def updating(self, mapper: Mapper[Any], _: object, row: Any) -> None:
        """Seal what has changed, or whose row or person has another name now."""
        state = inspect(row)
        ids = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        for field in self._fields:
            bound = [*ids, field.subject] if field.subject else ids
            if field.key not in state.committed_state and any(state.attrs[one].history.has_changes() for one in bound):
                getattr(row, field.key)  # opened at its old place
                flag_modified(row, field.key)
            if field.key in state.committed_state:
                self._seal(mapper, row, field)

    def flushed(self, mapper: Mapper[Any], _: object, row: Any) -> None:
        """Give the attributes their plain values back."""
        state, session = inspect(row), object_session(row)
        for field in self._fields:
            value = state.dict.get(field.key)
            if isinstance(value, Sealed) and value.plain is not None:
                state.dict[field.key] = value.plain
                state.callables = {key: opener for key, opener in state.callables.items() if key != field.key}
            elif session is not None:
                self._defer(session, state, field, mapper.primary_key_from_instance(row))

    @staticmethod
    def _seal(mapper: Mapper[Any], row: Any, field: _Field) -> None:
        state, session = inspect(row), object_session(row)
        value = state.dict.get(field.key)
        plain = value.plain if isinstance(value, Sealed) else value
        if plain is None or session is None:  # NULL, or sealed by whoever set it
            return
        subject = getattr(row, field.subject) if field.subject else SYSTEM
        state.dict[field.key] = field.seal(session, mapper.primary_key_from_instance(row), subject, plain)

    @staticmethod
    def _defer(session: Session, state: InstanceState[Any], field: _Field, pk: Sequence[Any]) -> None:
        sealed = state.dict.get(field.key)
        if isinstance(sealed, Sealed):
            del state.dict[field.key]
            state.expired_attributes.discard(field.key)
            state.callables = {**state.callables, field.key: field.opener(session, pk, sealed)}


def protect(cls: type[Any]) -> None:
    """Let a mapped class seal and open its encrypted columns; `Base` calls this for each of its own."""
    mapper: Mapper[Any] | None = cls.__dict__.get("__mapper__")
    if mapper is None:
        return
    fields = [_Field(mapper, column) for column in mapper.columns if isinstance(column.type, Encrypted)]
    if not fields:
        return
    protection = _Protection(fields)
    event.listen(cls, "load", protection.loaded)
    event.listen(cls, "refresh", protection.loaded)
    event.listen(cls, "before_insert", protection.inserting)
    event.listen(cls, "before_update", protection.updating)
    event.listen(cls, "after_insert", protection.flushed)
    event.listen(cls, "after_update", protection.flushed)


async def seal(
    session: AsyncSession, attribute: InstrumentedAttribute[Any], pk: Any, plain: Any, subject: UUID = SYSTEM
) -> Sealed:
    """Encrypt a value for a Core statement, as `insert(Row).values(private=await …)`; `pk` is its row's."""
    return await session.run_sync(lambda sync: _field(attribute).seal(sync, _pk(pk), subject, plain))


async def reveal(session: AsyncSession, attribute: InstrumentedAttribute[Any], pk: Any, sealed: Sealed) -> Any:
    """Decrypt what a Core statement or a single column has read (DecryptFailed)."""
    return await session.run_sync(lambda sync: _field(attribute).opener(sync, _pk(pk), sealed)())


def unseal(key: Opens, attribute: InstrumentedAttribute[Any], pk: Any, sealed: Sealed) -> Any:
    """Decrypt with a key that is at hand (DecryptFailed)."""
    field = _field(attribute)
    return _Opener(field, place_of(field.column, _pk(pk)), sealed.text, key)()


def place_of(column: Column[Any], pk: Sequence[Any]) -> str:
    """Name the place of a value: `table.column.pk`."""
    for part in pk:
        if not isinstance(part, UUID | int | str):
            raise TypeError(f"{column}: a key of {type(part).__name__} names no place; set UUIDs, int or str first")
    table = column.table
    assert isinstance(table, Table)  # noqa: S101  # for the type checker
    return f"{table.name}.{column.name}.{pk[0] if len(pk) == 1 else msgspec.json.encode([*map(str, pk)]).decode()}"


def keys_of(session: Session) -> Keys:
    """Return the keys that a session carries (PluginError: it is not one of a kit)."""
    keys: Keys | None = session.info.get(KEYS)
    if keys is None:
        raise PluginError("this session carries no keys; take the one of a context")
    return keys


def _field(attribute: InstrumentedAttribute[Any]) -> _Field:
    return _Field(inspect(attribute.class_), attribute.property.columns[0])


def _pk(pk: Any) -> Sequence[Any]:
    return pk if isinstance(pk, tuple) else (pk,)
