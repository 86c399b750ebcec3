"""Taking a dump over: two passes over the file, batches of a thousand rows, the same result however often it is run."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from corekit.context import Caller, Context
from corekit.data import Base
from corekit.errors import Conflict
from corekit_auth.importing import rows
from corekit_auth.importing.dump import Row
from corekit_auth.importing.dump import rows as read
from corekit_auth.importing.legacy import LegacyTokens, renew
from corekit_auth.importing.secrets import ForeignKey
from corekit_auth.models import FactorRow, IdentityRow, PasskeyRow, SessionRow, UserRow
from corekit_auth.purposes import IMPORT

BATCH = 1000
_USERS = "auth.users"
_CLAIMS = "auth.mfa_amr_claims"
_SESSIONS = "auth.sessions"
_TOKENS = "auth.refresh_tokens"
_KINDS: Mapping[str, type[Any]] = MappingProxyType(
    {
        _USERS: UserRow,
        "auth.identities": IdentityRow,
        "auth.mfa_factors": FactorRow,
        _SESSIONS: SessionRow,
        "auth.webauthn_credentials": PasskeyRow,
    }
)


@dataclass
class Report:
    """What became of the rows: counts per table, and each row that was not taken, with its reason."""

    read: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)

    def skip(self, table: str, row: Row, reason: str) -> None:
        """Note a row that is left out; of a person only their id is said."""
        self.skipped.append((table, row.get("id") or row.get("user_id") or "?", reason))


class Importing:
    """Reads a dump once for the people and once for what is theirs, since tables come in any order.

    With `legacy_refresh` also sessions whose refresh tokens have version 1: the last one of each is good here.
    """

    def __init__(
        self,
        caller: Caller,
        path: Path,
        *,
        db_key: str | None = None,
        legacy_refresh: bool = False,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._caller = caller
        self._path = path
        self._key = ForeignKey(db_key)
        self._say = say
        self._readers: dict[str, Callable[[Row], Any]] = {
            "auth.users": lambda row: rows.user(row, lambda number: caller.kit.keyring.index("phone", number)),
            "auth.identities": rows.identity,
            "auth.mfa_factors": lambda row: rows.factor(row, self._key),
            "auth.mfa_amr_claims": rows.claim,
            _SESSIONS: self._session,
            _TOKENS: rows.refresh_token,
            "auth.webauthn_credentials": rows.passkey,
        }
        self._legacy = LegacyTokens(caller.kit) if legacy_refresh else None
        self._amr: dict[UUID, list[dict[str, Any]]] = {}
        self._people: set[UUID] = set()

    async def run(self, *, dry: bool = False) -> Report:
        """Take the dump over; `dry` reads and checks everything and writes nothing.

        Raises:
            Conflict: two people have addresses that differ in case alone, or an address is taken here by another.
            Invalid: the file is no dump that can be read.

        """
        self._caller.demand_free("import_supabase")
        report = Report()
        self._demand_apart()
        await self._take(report, [_USERS], dry=dry)
        for table, row in self._rows([_CLAIMS]):
            with_step = self._read(report, table, row)
            if with_step is not None:
                session_id, step = with_step
                self._amr.setdefault(session_id, []).append(step)
        if self._legacy is not None:
            self._note_tokens(report, self._legacy)
        await self._take(report, [table for table in _KINDS if table != _USERS], dry=dry)
        for session_id in self._legacy.left() if self._legacy is not None else ():
            report.skip(_TOKENS, {"id": str(session_id)}, "session_id: no session that needs it was taken over")
        return report

    def _session(self, row: Row) -> SessionRow:
        session_id = UUID(row.get("id") or "")
        legacy_mac = self._legacy.mac(session_id) if self._legacy is not None else None
        return rows.session(row, self._amr.get(session_id, []), self._key, legacy_mac)

    def _note_tokens(self, report: Report, tokens: LegacyTokens) -> None:
        """Count the tokens that are good, and leave the others out: there is a row for every refresh of the past."""
        for table, row in self._rows([_TOKENS]):
            token = self._read(report, table, row)
            if token is not None:
                tokens.note(token)
        report.read[_TOKENS] = sum(1 for _ in tokens.good()) + sum(
            1 for table, *_ in report.skipped if table == _TOKENS
        )

    def _rows(self, tables: Iterable[str]) -> Iterator[tuple[str, Row]]:
        with self._path.open(encoding="utf-8", newline="\n") as lines:
            yield from read(lines, frozenset(tables))

    def _demand_apart(self) -> None:
        """Refuse a dump in which lower case makes two addresses one."""
        seen: dict[str, str] = {}
        for _, row in self._rows([_USERS]):
            email = (row.get("email") or "").strip()
            first = seen.setdefault(email.lower(), row.get("id") or "")
            if email and first != (row.get("id") or ""):
                raise Conflict(f"auth.users: {first} and {row.get('id')} have addresses that differ in case alone")

    async def _take(self, report: Report, tables: list[str], *, dry: bool) -> None:
        made = (row for table, raw in self._rows(tables) if (row := self._made(report, table, raw)) is not None)
        while batch := list(itertools.islice(made, BATCH)):
            if not dry:
                await self._write(report, batch)
            for row in batch:
                if isinstance(row, UserRow):
                    self._people.add(row.id)
            self._say(", ".join(f"{table}: {count}" for table, count in sorted(report.read.items())))

    def _made(self, report: Report, table: str, raw: Row) -> Base | None:
        found: Any = self._read(report, table, raw)
        if found is None or isinstance(found, UserRow):
            return found
        if found.user_id not in self._people:
            report.skip(table, raw, "user_id: nobody of that id was taken over")
            return None
        if self._legacy is not None and isinstance(found, SessionRow) and found.legacy_mac is not None:
            self._legacy.found(found.id)
        owned: Base = found
        return owned

    def _read(self, report: Report, table: str, raw: Row) -> Any:
        report.read[table] += 1
        try:
            return self._readers[table](raw)
        except (rows.Skip, ValueError) as error:
            report.skip(table, raw, str(error))
            return None

    async def _write(self, report: Report, batch: list[Any]) -> None:
        async with self._caller.system(IMPORT).begin() as ctx:
            for name, kind in _KINDS.items():
                mine = [row for row in batch if isinstance(row, kind)]
                there = await _there(ctx, kind, mine)
                new = [row for row in mine if _key_of(row) not in there]
                report.taken[name] += len(new)
                report.known[name] += len(mine) - len(new)
                if self._legacy is not None and kind is SessionRow:
                    await self._count_tokens(ctx, report, mine, there)
                ctx.session.add_all(new)
                try:
                    await ctx.session.flush()
                except IntegrityError:
                    raise Conflict(
                        f"{name}: an address, a number or a credential belongs to another account here already; "
                        "nothing of this batch was written"
                    ) from None

    async def _count_tokens(self, ctx: Context, report: Report, mine: list[SessionRow], there: set[UUID]) -> None:
        macs = {row.id: row.legacy_mac for row in mine if row.legacy_mac is not None}
        known = {session_id: mac for session_id, mac in macs.items() if session_id in there}
        report.taken[_TOKENS] += len(macs) - len(known)
        report.known[_TOKENS] += len(known)
        await renew(ctx, known)


def _key_of(row: Any) -> Any:
    """Return by what a row is known: an identity by provider and name, everything else by its id."""
    return (row.provider, row.provider_id) if isinstance(row, IdentityRow) else row.id


async def _there(ctx: Context, kind: type[Any], mine: list[Any]) -> set[Any]:
    if not mine:
        return set()
    if kind is IdentityRow:
        names = select(kind.provider, kind.provider_id).where(kind.provider_id.in_([row.provider_id for row in mine]))
        return {(row[0], row[1]) for row in (await ctx.session.execute(names)).all()}
    return set(await ctx.session.scalars(select(kind.id).where(kind.id.in_([row.id for row in mine]))))
