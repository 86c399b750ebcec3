"""Taking over a Supabase project: COPY and INSERT forms, twice, dry, and with rows that cannot be taken."""

import asyncio
import os
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from corekit import Caller, Corekit
from corekit.cli.main import cli
from corekit.errors import Conflict, Invalid
from corekit_auth import refresh_tokens
from corekit_auth.importing import Importing
from corekit_auth.importing.dump import rows
from corekit_auth.models import FactorRow, IdentityRow, PasskeyRow, UserRow
from corekit_auth.service import AuthService

ANN, BOB = UUID("0a0a0a0a-0000-4000-8000-000000000001"), UUID("0a0a0a0a-0000-4000-8000-000000000002")
FACTOR, SESSION = UUID("0a0a0a0a-0000-4000-8000-0000000000f1"), UUID("0a0a0a0a-0000-4000-8000-0000000000e1")
OLD = UUID("0a0a0a0a-0000-4000-8000-0000000000e2")
PASSWORD = "correct horse battery"
DB_KEY = os.urandom(32)
SESSION_KEY = os.urandom(32)
MADE = "2025-03-01 10:00:00.123456+00"
SECRET = "JBSWY3DPEHPK3PXP"


def sealed(plain: str, object_id: UUID) -> str:
    """Encrypt as Supabase's server does."""
    key = HKDF(SHA256(), 32, salt=None, info=str(object_id).encode()).derive(DB_KEY)
    nonce = os.urandom(12)
    data = AESGCM(key).encrypt(nonce, plain.encode(), None)
    members = {
        "key_id": "k",
        "alg": "aes-gcm-hkdf",
        "data": b64encode(data).decode(),
        "nonce": b64encode(nonce).decode(),
    }
    return msgspec.json.encode(members).decode()


def copied(table: str, *found: dict[str, str | None]) -> str:
    """Write rows as COPY does."""
    names = list(found[0])
    lines = [f"COPY {table} ({', '.join(names)}) FROM stdin;"]
    for row in found:
        texts = [
            "\\N" if value is None else value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
            for value in row.values()
        ]
        lines.append("\t".join(texts))
    return "\n".join([*lines, "\\.", "", ""])


def inserted(table: str, *found: dict[str, str | None]) -> str:
    """Write rows as `supabase db dump --data-only` does."""
    names = ", ".join(f'"{name}"' for name in found[0])
    quoted = [
        "(" + ", ".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in row.values()) + ")"
        for row in found
    ]
    schema, _, name = table.partition(".")
    return f'INSERT INTO "{schema}"."{name}" ({names}) VALUES\n\t' + ",\n\t".join(quoted) + ";\n\n"


def user(user_id: UUID, email: str, **changes: str | None) -> dict[str, str | None]:
    return {
        "instance_id": "00000000-0000-0000-0000-000000000000",
        "id": str(user_id),
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "encrypted_password": PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD),
        "email_confirmed_at": MADE,
        "raw_app_meta_data": '{"provider": "email", "providers": ["email"]}',
        "raw_user_meta_data": '{"name": "O\'Hara; \\"A\\"", "note": "a\\tb"}',
        "created_at": MADE,
        "updated_at": MADE,
        "phone": None,
        "is_anonymous": "f",
    } | changes


def dump(write: Any) -> str:
    people = [user(ANN, "Ann@Example.org", phone="+49 151 1"), user(BOB, "bob@example.org", encrypted_password="md5")]
    return "".join(
        [
            "-- a dump\nSET statement_timeout = 0;\nCREATE TABLE auth.users (id uuid);\n",
            write(
                "auth.mfa_factors",
                {
                    "id": str(FACTOR),
                    "user_id": str(ANN),
                    "factor_type": "totp",
                    "status": "verified",
                    "secret": sealed(SECRET, FACTOR),
                    "friendly_name": "phone",
                    "created_at": MADE,
                },
            ),
            write("auth.users", *people),
            write(
                "auth.identities",
                {
                    "provider_id": str(ANN),
                    "user_id": str(ANN),
                    "identity_data": '{"email": "ann@example.org"}',
                    "provider": "email",
                    "id": str(FACTOR),
                    "created_at": MADE,
                },
                {
                    "provider_id": "x",
                    "user_id": str(BOB),
                    "identity_data": "{}",
                    "provider": "google",
                    "id": str(BOB),
                    "created_at": MADE,
                },
            ),
            write(
                "auth.refresh_tokens",
                {"id": "1", "token": "mfrggzdfmztw", "user_id": str(ANN), "revoked": "f", "session_id": str(OLD)},
            ),
            write(
                "auth.sessions",
                {
                    "id": str(SESSION),
                    "user_id": str(ANN),
                    "created_at": MADE,
                    "aal": "aal2",
                    "refresh_token_hmac_key": sealed(urlsafe_b64encode(SESSION_KEY).decode(), SESSION),
                    "refresh_token_counter": "7",
                    "factor_id": str(FACTOR),
                },
                {
                    "id": str(OLD),
                    "user_id": str(ANN),
                    "created_at": MADE,
                    "aal": "aal1",
                    "refresh_token_hmac_key": None,
                    "refresh_token_counter": None,
                    "factor_id": None,
                },
            ),
            write(
                "auth.mfa_amr_claims",
                {
                    "session_id": str(SESSION),
                    "authentication_method": "totp",
                    "created_at": MADE,
                    "updated_at": MADE,
                    "id": str(ANN),
                },
            ),
            write(
                "auth.webauthn_credentials",
                {
                    "id": str(FACTOR),
                    "user_id": str(ANN),
                    "credential_id": "\\x0102",
                    "public_key": "\\x0a0b",
                    "transports": '["internal"]',
                    "created_at": MADE,
                },
            ),
            write("public.things", {"id": "1", "text": "INSERT INTO auth.users (id) VALUES ('no');"}),
        ]
    )


def key_text() -> str:
    return urlsafe_b64encode(DB_KEY).decode().rstrip("=")


@pytest.mark.parametrize("write", [copied, inserted])
@pytest.mark.parametrize("settings", [{"absolute_life": 0, "inactivity": 0}])
async def test_a_project_moves(
    write: Any, service: AuthService, kit: Corekit, caller: Caller, tables: Any, tmp_path: Path
) -> None:
    file = tmp_path / "dump.sql"
    file.write_text(dump(write), "utf-8")
    dry = await Importing(caller, file, db_key=key_text()).run(dry=True)
    assert await tables.read("SELECT id FROM auth_users") == []
    report = await Importing(caller, file, db_key=key_text()).run()
    assert dry.read == report.read
    assert dict(report.taken) == {
        "auth.users": 1, "auth.identities": 1, "auth.mfa_factors": 1, "auth.sessions": 1, "auth.webauthn_credentials": 1
    }  # fmt: skip
    assert report.skipped == [
        ("auth.users", str(BOB), "encrypted_password: neither bcrypt, argon2 nor fbscrypt"),
        ("auth.identities", str(BOB), "user_id: nobody of that id was taken over"),
        (
            "auth.sessions",
            str(OLD),
            "refresh_token_hmac_key: version 1; take it with --legacy-refresh, or its owner signs in anew",
        ),
    ]
    again = await Importing(caller, file, db_key=key_text()).run()
    assert not +again.taken
    assert again.known == report.taken
    async with caller.system("auth.sign-in").begin(readonly=True) as ctx:
        ann = await ctx.session.get_one(UserRow, ANN)
        assert (ann.email, ann.phone, ann.user_metadata["name"]) == ("ann@example.org", "491511", 'O\'Hara; "A"')
        assert ann.user_metadata["note"] == "a\tb"
        assert (await ctx.session.get_one(FactorRow, FACTOR)).secret == SECRET
        assert (await ctx.session.get_one(PasskeyRow, FACTOR)).credential_id == b"\x01\x02"
        assert (await ctx.session.scalars(select(IdentityRow.provider))).all() == ["email"]
    signed_in = await service.grant_by_password(caller, "ann@example.org", PASSWORD)
    assert signed_in.session.user.id == ANN
    refreshed = await service.grant_by_refresh(caller, refresh_tokens.encode(SESSION, 7, SESSION_KEY))
    assert (refreshed.session_id, refreshed.counter) == (SESSION, 8)
    actor = await service.authenticate(refreshed.session.access_token)
    assert getattr(actor, "proof", None).aal == 2  # type: ignore[union-attr]


async def test_an_operator_takes_it_over(
    kit: Corekit, tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`corekit auth import-supabase`, first to see what would happen."""
    (tmp_path / "corekit.toml").write_text('[kit]\nplugins = ["auth"]\n', "utf-8")
    (tmp_path / "dump.sql").write_text(dump(copied), "utf-8")
    monkeypatch.chdir(tmp_path)
    if kit.database.dialect == "postgresql":
        pytest.skip("the commands do alike on each database; this one needs its roles in a file")
    place = ["--database", kit.database.settings.url, "--data-dir", str(tmp_path), "--db-key", key_text()]

    async def run(*options: str) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke, cli, ["auth", "import-supabase", "dump.sql", *options, *place]
        )

    dry = await run("--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "auth.users: 2 read, 1 skipped" in dry.stdout
    assert await tables.read("SELECT id FROM auth_users") == []
    real = await run()
    assert "auth.users: 2 read, 1 taken, 0 there already, 1 skipped" in real.stdout
    assert f"skipped auth.users {BOB}: encrypted_password" in real.stdout
    assert "example.org" not in real.output
    assert "0 taken, 1 there already" in (await run()).stdout
    older = await run("--legacy-refresh")
    assert "auth.sessions: 2 read, 1 taken, 1 there already, 0 skipped" in older.stdout
    assert "auth.refresh_tokens: 1 read, 1 taken, 0 there already, 0 skipped" in older.stdout
    assert "mfrggzdfmztw" not in older.output


async def test_a_number_is_nowhere_in_clear(caller: Caller, tmp_path: Path, tables: Any) -> None:
    """Red where the name of an identity by number is taken over as it is: in some dumps it is the number."""
    number, times = "4915112345678", {"created_at": MADE}
    identity = {"id": f"+{number}", "user_id": str(ANN), "provider": "phone"}
    identity |= {"identity_data": f'{{"sub": "{number}", "phone": "{number}"}}'}
    file = tmp_path / "dump.sql"
    person = user(ANN, "ann@example.org", phone=number)
    file.write_text(copied("auth.users", person) + copied("auth.identities", identity | times), "utf-8")
    assert (await Importing(caller, file, db_key=key_text()).run()).taken["auth.identities"] == 1
    found = await tables.read("SELECT * FROM auth_identities") + await tables.read("SELECT * FROM auth_users")
    assert number not in repr([tuple(row) for row in found])
    assert await tables.read("SELECT provider_id FROM auth_identities") == [(str(ANN),)]


async def test_without_the_key_what_is_encrypted_stays_behind(caller: Caller, tmp_path: Path) -> None:
    file = tmp_path / "dump.sql"
    file.write_text(dump(copied), "utf-8")
    for key, reason in ((None, "give the key"), (urlsafe_b64encode(bytes(32)).decode(), "another key")):
        report = await Importing(caller, file, db_key=key).run(dry=True)
        said = {(table, row): why for table, row, why in report.skipped}
        assert reason in said["auth.mfa_factors", str(FACTOR)]
        assert reason in said["auth.sessions", str(SESSION)]
    with pytest.raises(Invalid, match="--db-key"):
        Importing(caller, file, db_key="short")


async def test_addresses_that_case_alone_keeps_apart_stop_it(caller: Caller, tmp_path: Path, tables: Any) -> None:
    file = tmp_path / "dump.sql"
    file.write_text(copied("auth.users", user(ANN, "Ann@example.org"), user(BOB, "ann@example.org")), "utf-8")
    with pytest.raises(Conflict, match="case alone"):
        await Importing(caller, file).run()
    assert await tables.read("SELECT id FROM auth_users") == []


async def test_an_address_that_is_taken_here_stops_it(
    service: AuthService, caller: Caller, tmp_path: Path, tables: Any
) -> None:
    await service.grant_by_sign_up(caller, "ann@example.org", PASSWORD, {})
    file = tmp_path / "dump.sql"
    file.write_text(copied("auth.users", user(BOB, "bob@example.org"), user(ANN, "Ann@example.org")), "utf-8")
    with pytest.raises(Conflict, match="nothing of this batch"):
        await Importing(caller, file).run()
    assert len(await tables.read("SELECT id FROM auth_users")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("COPY auth.users (id, email) FROM stdin;\na\n\\.\n", "1 values for 2 columns"),
        ("COPY auth.users (id) FROM stdin;\na\n", "ends in the middle"),
        ("INSERT INTO auth.users VALUES ('a');\n", "names no columns"),
        ("INSERT INTO auth.users (id) VALUES ('a'\n", "has no end"),
        ("INSERT INTO auth.users (id) VALUES (now());\n", "cannot be read"),
    ],
)
def test_what_is_no_dump_says_where(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        list(rows(text.splitlines(keepends=True), frozenset({"auth.users"})))


ANY = st.none() | st.text(st.characters(exclude_characters="\x00\r", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(ANY, st.text("'\\\n\t;(),E ")), min_size=1, max_size=5))
def test_every_text_comes_through_both_forms(pairs: list[tuple[str | None, str]]) -> None:
    found: list[dict[str, str | None]] = [{"a": a, "b": b} for a, b in pairs]
    for write in (copied, inserted):
        lines = write("auth.users", *found).split("\n")
        read = list(rows((line + "\n" for line in lines), frozenset({"auth.users"})))
        assert read == [("auth.users", row) for row in found]
