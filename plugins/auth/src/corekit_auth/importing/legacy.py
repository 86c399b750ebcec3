"""The last refresh token of version 1 of each session in a dump; of each, an HMAC alone is kept."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from sqlalchemy import update

from corekit.context import Context, Kit
from corekit_auth.importing.rows import LegacyToken
from corekit_auth.legacy_refresh import legacy_mac
from corekit_auth.models import SessionRow


class LegacyTokens:
    """Collects them, and knows which ones found their session."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._last: dict[UUID, tuple[int, bytes | None]] = {}
        self._found: set[UUID] = set()

    def note(self, token: LegacyToken) -> None:
        """Keep the newest of a session; a revoked one shadows what came before it."""
        number, _ = self._last.get(token.session_id, (-1, None))
        if token.number > number:
            self._last[token.session_id] = (token.number, None if token.revoked else legacy_mac(self._kit, token.text))

    def mac(self, session_id: UUID) -> bytes | None:
        """Return that of a session whose newest token is good."""
        return self._last.get(session_id, (-1, None))[1]

    def found(self, session_id: UUID) -> None:
        """Note that a session of this kind is in the dump, of somebody who was taken over."""
        self._found.add(session_id)

    def good(self) -> Iterator[UUID]:
        """Name the sessions whose newest token is good."""
        return (session_id for session_id, (_, mac) in self._last.items() if mac is not None)

    def left(self) -> Iterator[UUID]:
        """Name those of them that found no session."""
        return (session_id for session_id in self.good() if session_id not in self._found)


async def renew(ctx: Context, macs: Mapping[UUID, bytes]) -> None:
    """Give sessions that are here, and were not refreshed here yet, the token of a later dump."""
    for session_id, mac in macs.items():
        unused = [SessionRow.id == session_id, SessionRow.counter == 0, SessionRow.legacy_mac.is_not(None)]
        statement = update(SessionRow).where(*unused, SessionRow.legacy_mac != mac).values(legacy_mac=mac)
        await ctx.session.execute(statement.execution_options(synchronize_session=False))
