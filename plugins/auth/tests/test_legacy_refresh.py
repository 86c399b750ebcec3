"""Refresh tokens of version 1, taken over from a dump: exchanged for ours, and never a second chain."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_importing import ANN, BOB, MADE, OLD, SESSION, copied, inserted, user  # beside this file

from corekit import Caller
from corekit.testing import FakeClock
from corekit_auth.errors import Overloaded, RefreshTokenAlreadyUsed, RefreshTokenNotFound
from corekit_auth.importing import Importing, Report
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
LAST, BEFORE = "mfrggzdfmztw", "onswg4tfoqqh"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"absolute_life": 0, "inactivity": 0}


def token(number: int, text: str, session_id: UUID | None = OLD, *, revoked: bool = False) -> dict[str, str | None]:
    return {
        "instance_id": "00000000-0000-0000-0000-000000000000",
        "id": str(number),
        "token": text,
        "user_id": str(ANN),
        "revoked": "t" if revoked else "f",
        "created_at": MADE,
        "updated_at": MADE,
        "parent": None,
        "session_id": None if session_id is None else str(session_id),
    }


def session(session_id: UUID, owner: UUID = ANN) -> dict[str, str | None]:
    return {
        "id": str(session_id),
        "user_id": str(owner),
        "created_at": MADE,
        "aal": "aal1",
        "refresh_token_hmac_key": None,
        "refresh_token_counter": None,
    }


HISTORY = (token(9, BEFORE, revoked=True), token(10, LAST))


class Move:
    """Takes dumps over."""

    def __init__(self, caller: Caller, file: Path) -> None:
        self._caller = caller
        self._file = file

    async def __call__(
        self,
        *tokens: dict[str, str | None],
        sessions: tuple[dict[str, str | None], ...] = (session(OLD),),
        write: Any = copied,
        dry: bool = False,
        legacy_refresh: bool = True,
    ) -> Report:
        tables = [("auth.refresh_tokens", tokens), ("auth.sessions", sessions), ("auth.users", (user(ANN, "a@b.org"),))]
        self._file.write_text("".join(write(table, *rows) for table, rows in tables if rows), "utf-8")
        return await Importing(self._caller, self._file, legacy_refresh=legacy_refresh).run(dry=dry)


@pytest.fixture
def move(caller: Caller, tmp_path: Path) -> Move:
    return Move(caller, tmp_path / "dump.sql")


def counts(report: Report) -> tuple[int, int, int]:
    name = "auth.refresh_tokens"
    return report.read[name], report.taken[name], report.known[name]


@pytest.mark.parametrize("write", [copied, inserted])
async def test_a_client_goes_on_where_it_stood(web: Web, move: Move, tables: Any, clock: FakeClock, write: Any) -> None:
    """Red where a token of version 1 is not looked for, and where it is kept in clear."""
    assert counts(await move(*HISTORY, write=write, dry=True)) == (1, 0, 0)
    assert await tables.read("SELECT id FROM auth_sessions") == []
    report = await move(*HISTORY, write=write)
    assert (counts(report), report.skipped) == ((1, 1, 0), [])
    stored = repr([tuple(row) for row in await tables.read("SELECT * FROM auth_sessions")])
    assert LAST not in stored
    async with web() as client:
        path = "/token?grant_type=refresh_token"
        answer = await client.post(path, json={"refresh_token": LAST})
        assert answer.status_code == 200, answer.text
        assert answer.headers["sb-auth-session-id"] == str(OLD)
        made = answer.json()
        assert (made["user"]["id"], len(made["refresh_token"])) == (str(ANN), 51)
        clock.move(60)
        assert (await client.post(path, json={"refresh_token": made["refresh_token"]})).status_code == 200
        assert (await client.get("/user", headers={"Authorization": f"Bearer {made['access_token']}"})).is_success


async def test_it_is_exchanged_once(service: AuthService, caller: Caller, move: Move, clock: FakeClock) -> None:
    """Statement 12. Red where a token of version 1 counts up whatever its session's counter is."""
    await move(*HISTORY)
    first, *same = await asyncio.gather(*(service.grant_by_refresh(caller, LAST) for _ in range(5)))
    assert {grant.session.refresh_token for grant in same} == {first.session.refresh_token}
    clock.move(60)
    lost = await service.grant_by_refresh(caller, LAST)  # the client never saw the answer
    assert (lost.session.refresh_token, lost.reuse) == (first.session.refresh_token, "fail-to-save")
    newest = await service.grant_by_refresh(caller, first.session.refresh_token)
    clock.move(60)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await service.grant_by_refresh(caller, LAST)
    for text in (newest.session.refresh_token, LAST):
        with pytest.raises(RefreshTokenNotFound):
            await service.grant_by_refresh(caller, text)


@pytest.mark.parametrize(
    ("text", "legacy_refresh", "rows"),
    [
        (BEFORE, True, HISTORY),
        (LAST, True, (*HISTORY, token(11, "aaaaaaaaaaaa", revoked=True))),
        (LAST, False, HISTORY),
        (LAST.upper(), True, HISTORY),
        (LAST[:-1], True, HISTORY),
    ],
    ids=["revoked", "a revoked one came after it", "not asked for", "in capitals", "a part"],
)
async def test_no_other_token_is_good(
    service: AuthService, caller: Caller, move: Move, text: str, rows: Any, *, legacy_refresh: bool
) -> None:
    await move(*rows, legacy_refresh=legacy_refresh)
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, text)


async def test_what_is_left_behind_says_why(move: Move) -> None:
    stray = [token(1, "short"), token(2, LAST, None), token(3, LAST, SESSION), token(4, BEFORE, BOB)]
    report = await move(*stray, sessions=(session(OLD), session(BOB, BOB)))
    assert counts(report) == (4, 0, 0)
    no_session = "session_id: no session that needs it was taken over"
    assert sorted(report.skipped) == sorted(
        [
            ("auth.refresh_tokens", "1", "token: not 12 to 32 letters, digits, - and _"),
            ("auth.refresh_tokens", "2", "session_id: it is older than sessions; its owner signs in anew"),
            ("auth.refresh_tokens", str(SESSION), no_session),
            ("auth.refresh_tokens", str(BOB), no_session),
            (
                "auth.sessions",
                str(OLD),
                "refresh_token_hmac_key: version 1; take it with --legacy-refresh, or its owner signs in anew",
            ),
            ("auth.sessions", str(BOB), "user_id: nobody of that id was taken over"),
        ]
    )
    assert LAST not in repr(report)


async def test_a_later_dump_brings_the_later_token(service: AuthService, caller: Caller, move: Move) -> None:
    """The project went on while its people were taken over; a session that is used here already stays as it is."""
    await move(token(9, BEFORE))
    assert counts(await move(token(9, BEFORE, revoked=True), token(10, LAST))) == (1, 0, 1)
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, BEFORE)
    assert (await service.grant_by_refresh(caller, LAST)).counter == 1
    await move(token(12, "aaaaaaaaaaaa"))
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, "aaaaaaaaaaaa")
    assert (await service.grant_by_refresh(caller, LAST)).reuse == "fail-to-save"


@pytest.mark.parametrize(
    "settings", [{"absolute_life": 0, "inactivity": 0, "refresh_rate": {"count": 3, "period": 3600, "burst": 3}}]
)
async def test_guesses_are_few_and_end_nobodys_session(service: AuthService, caller: Caller, move: Move) -> None:
    """Red where a token is looked for before its address is charged: it would be found after any number of guesses."""
    await move(*HISTORY)
    await service.grant_by_refresh(caller, LAST)  # good ones cost nothing
    for number in range(3):
        with pytest.raises(RefreshTokenNotFound):
            await service.grant_by_refresh(caller, f"guess-no-{number:03}")
    with pytest.raises(Overloaded) as refusal:
        await service.grant_by_refresh(caller, LAST)
    assert refusal.value.headers["Retry-After"] == "1200"
