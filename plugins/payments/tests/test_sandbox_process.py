"""The sandbox as a process of its own, over a real socket."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from sandbox_process import ANSWERS, SECRET, BadLine, brought, process

from corekit.cli.main import cli
from corekit.contracts.payments import (
    Method,
    NotAttempted,
    OutcomeUnknown,
    ProviderCall,
    ProviderSettings,
    TokenMethod,
)
from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit.testing.payments import ProviderContract, ProviderRig, Row, Trouble, Verb
from corekit.values import Money
from corekit_payments.calling import Line
from corekit_payments.sandbox import Journal, Sandbox, journal_of, serving
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.counter import PATH
from corekit_payments.sandbox.serving import SandboxServer
from corekit_payments.sandbox.starting import secrets_of

LOGIN = ("sandbox", SECRET)
TOKENS: dict[Trouble, str] = {
    "dropped": "tok_lost_after", "fault": "tok_stored_500", "invalid": "tok_nobody_knows", "declined": "tok_declined"
}  # fmt: skip
TAKE = b"""{"what":"take","call":{"key":"k","reference":"r","kind":"authorize","payment":"p",
    "amount":{"amount":%s,"currency":"INR"}}}"""  # by a method that nobody knows: it fails
Running = tuple[str, Journal]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sandbox")
    with process(folder) as (url, _):
        yield url, Journal(journal_of(folder, "sandbox"))


class ProcessRig:
    """The adapter before a process, over a line that can be bad."""

    currency, secrets = "INR", (SECRET,)
    unjudged: Mapping[Row, str] = {}

    def __init__(self, journal: Journal, line: BadLine) -> None:
        self._asked = Line(line.url, LOGIN)
        self.provider = Sandbox("sandbox", self._asked, FakeClock(), secrets=(Secret(SECRET),))
        self.method: Method = TokenMethod(token="tok_upi_qr")
        places = [urlsplit(url) for url in (line.url, f"http://{line.to}")]  # the line connects in this process too
        self.addresses = frozenset((one.hostname or "", one.port or 0) for one in places)
        self._journal, self._line = journal, line
        self._before = len(journal.effects())
        self._told = max((row["n"] for row in journal.notices(0)), default=0)

    @asynccontextmanager
    async def trouble(self, kind: Trouble, verb: Verb) -> AsyncGenerator[Method]:
        if kind == "unreachable":
            self._line.cut()
        if verb == "create" and kind in TOKENS:
            yield TokenMethod(token=TOKENS[kind])
            return
        self._line.trouble = kind
        http = self._asked._open()
        http.timeout = httpx.Timeout(20, read=0.5 if kind == "timeout" else 20)  # for an answer that never comes
        yield self.method
        self._line.trouble = None
        self._line.calm.set()

    async def approve(self, ref: str) -> None:
        await self.provider.decide(ref, approve=True)

    def effects(self) -> list[tuple[str, int]]:
        return [(one.kind, one.amount) for one in self._journal.effects()[self._before :]]

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        near = Sandbox("sandbox", self._journal, FakeClock(), secrets=(Secret(SECRET),))
        return near.notices(self._told)


class TestSandboxProcess(ProviderContract):
    """The sandbox's process, paid after the payer has acted."""

    @pytest.fixture
    async def rig(self, running: Running) -> AsyncGenerator[ProviderRig]:
        url, journal = running
        with BadLine(url).open() as line:
            rig = ProcessRig(journal, line)
            yield rig
            await rig.provider.close()


def a_call(means: str = "tok_ok", **more: Any) -> ProviderCall:
    fields = {"key": f"pop_{time.time_ns()}", "reference": f"R{time.time_ns()}", "kind": "authorize", **more}
    return ProviderCall(amount=Money(1000, "INR"), payment="pay_1", method=TokenMethod(token=means), **fields)


async def test_each_token_does_over_the_line_what_it_does_here(running: Running, tmp_path: Path) -> None:
    far = Sandbox("sandbox", Line(running[0], LOGIN), FakeClock())
    near = Sandbox("sandbox", Journal(tmp_path / "near.db"), FakeClock())
    for token in ("tok_ok", "tok_3ds", "tok_lost_before", "tok_lost_after", "tok_stored_500", "tok_slow_lookup"):
        call, seen = a_call(token), []
        for one in (far, near):
            steps = [await ended(one.create(call)) for _ in range(3)]
            seen.append(steps + [await ended(one.lookup(call.reference)) for _ in range(3)])
        assert seen[0] == seen[1], token
    await far.close()


async def ended(calling: Any) -> object:
    try:
        said = await calling
    except OutcomeUnknown as why:
        return ("unknown", why.mismatch)
    return None if said is None else (said.state, said.source, said.captured, said.reference)


async def test_disputes_lists_and_notices_come_over_the_line(running: Running) -> None:
    far = Sandbox("sandbox", Line(running[0], LOGIN), FakeClock(), secrets=(Secret(SECRET),))
    paid = [(await far.create(a_call())).provider_ref or "" for _ in range(3)]
    case = await far.dispute(paid[0])
    assert [one.provider_ref for one in await far.disputes(paid[0])] == [case.provider_ref]
    assert (await far.judge(case.provider_ref or "", "won")).state == "canceled"
    told = await far.last_notice(paid[1])
    assert told is not None
    assert [one.provider_ref for one in far.verify(*told)] == [paid[1]]
    listed = [one.provider_ref async for one in far.list_since("")]
    assert set(paid) <= set(listed)
    assert len(listed) == len(set(listed))
    with pytest.raises(ConfigError, match="where its process is"):
        far.notices()
    await far.close()


async def test_a_list_of_many_pages_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near = Sandbox("sandbox", Journal(tmp_path / "near.db"), FakeClock())
    paid = [(await near.create(a_call())).provider_ref for _ in range(5)]
    for size in (1, 2, 5, 6):
        monkeypatch.setattr("corekit_payments.sandbox.bank.PAGE", size)
        assert [one.provider_ref async for one in near.list_since("")] == paid


async def test_who_has_not_the_secret_moves_nothing(running: Running) -> None:
    url, journal = running
    before = journal.effects()
    for login in (("sandbox", ""), ("sandbox", SECRET[:-1]), ("", SECRET), ("sandbox", SECRET + "é")):
        stranger = Sandbox("sandbox", Line(url, login), FakeClock())
        with pytest.raises(NotAttempted) as refused:
            await stranger.create(a_call())
        assert refused.value.refused
        await stranger.close()
    assert journal.effects() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b'{"what":"drop"}', 400), (b'{"what":"fetch","ref":"x","more":1}', 400),
        (b'{"what":"fetch","ref":"' + b"x" * 201 + b'"}', 400), (b'{"what":"judge","ref":"x","verdict":"maybe"}', 400),
        (b'{"what":"since","begun":"2030-01-01T00:00:00"}', 400), (b"[" * 10_000, 400),
        (b'{"what":"fetch","ref":7}', 400),
        (TAKE % b"1000", 200), (TAKE % b"1e99", 400), (TAKE % b"9007199254740993", 400),
        (b'{"what":"fetch","ref":"sb_nobody"}', 500), (b" " * (serving.BODY + 1), 413),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused(running: Running, body: bytes, status: int) -> None:
    url, journal = running
    before = journal.effects()
    answer = httpx.post(f"{url}{PATH}", content=body, auth=LOGIN, trust_env=False)
    assert answer.status_code == status
    assert ("found" if status == 200 else "error") in answer.json()
    assert "ython" not in str(answer.headers)
    assert journal.effects() == before


def test_other_requests_are_refused(running: Running) -> None:
    with httpx.Client(base_url=running[0], auth=LOGIN, trust_env=False) as client:
        assert client.get(PATH).status_code == 501
        assert client.post("/", content=b"{}").status_code == 404
        assert client.post(PATH, content=iter([b"{}"])).status_code == 411  # chunked
        assert client.post(PATH, content=b"{}", auth=("sandbox", "no")).status_code == 401


def test_too_many_at_once_are_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "AT_ONCE", 1)
    server = SandboxServer(Bank(Journal(tmp_path / "sandbox.db"), FakeClock()), LOGIN)
    assert server.server_address[0] == "127.0.0.1"
    with server, socket.create_connection(server.server_address) as first:
        server.handle_request()  # it says nothing, and has the place
        with socket.create_connection(server.server_address) as second:
            server.handle_request()
            assert second.recv(1024).startswith(b"HTTP/1.1 429 ")
        first.close()


async def test_many_at_once_are_answered(running: Running) -> None:
    """Red when who comes while others are let in is left without an answer."""
    async with httpx.AsyncClient(base_url=running[0], auth=LOGIN, timeout=60, trust_env=False) as client:
        answers = await asyncio.gather(*(client.post(PATH, content=b"{}") for _ in range(serving.AT_ONCE - 4)))
    assert {answer.status_code for answer in answers} == {serving.INVALID}


async def test_a_process_that_is_killed_keeps_what_it_did(tmp_path: Path) -> None:
    call = a_call()
    with process(tmp_path) as (url, one):
        far = Sandbox("sandbox", Line(url, LOGIN), FakeClock())
        paid = await far.create(call)
        one.send_signal(signal.SIGKILL)
        one.wait(30)
        with pytest.raises(NotAttempted):
            await Sandbox("sandbox", Line(url, LOGIN), FakeClock()).create(a_call())
        await far.close()
    with process(tmp_path) as (url, one):
        far = Sandbox("sandbox", Line(url, LOGIN), FakeClock())
        assert (await far.create(call)).provider_ref == paid.provider_ref
        await far.close()
        one.send_signal(signal.SIGTERM)
        assert one.wait(30) == 0
    assert [effect.kind for effect in Journal(journal_of(tmp_path, "sandbox")).effects()] == ["authorize", "capture"]


@pytest.mark.parametrize(
    ("env", "secret", "said"),
    [
        ("production", SECRET, "the sandbox moves no money"),
        ("dev", "short", "key_secret has at least 16 characters"),
        ("dev", "", "key_secret has at least 16 characters"),
    ],
)
def test_there_is_no_process_in_production_nor_without_a_secret(
    tmp_path: Path, env: str, secret: str, said: str
) -> None:
    (tmp_path / "corekit.toml").write_text(
        f'[kit]\nplugins = ["payments"]\n[payments.providers.sandbox]\nkind = "sandbox"\nkey_secret = "{secret}"\n',
        "utf-8",
    )
    where = ["--config", str(tmp_path / "corekit.toml"), "--data-dir", str(tmp_path), "--env", env]
    refused = CliRunner().invoke(cli, ["payments", "sandbox", "serve", *where])
    assert refused.exit_code != 0
    assert said in str(refused.exception)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"base_address": "http://127.0.0.1:1"}, "key_secret has at least 16 characters"),
        (
            {"base_address": "http://127.0.0.1:1", "key_secret": Secret("short")},
            "key_secret has at least 16 characters",
        ),
        ({"base_address": "http://sandbox.invalid", "key_secret": Secret(SECRET)}, "https, or http on this machine"),
    ],
)
async def test_an_instance_needs_the_secret_and_a_safe_way(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        await brought(tmp_path, "dev", **fields)


async def test_production_refuses_the_instance_as_it_refuses_every_sandbox(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"base_address": "http://127.0.0.1:1", "key_secret": Secret(SECRET)}
    with pytest.raises(ConfigError, match="the sandbox moves no money"):
        await brought(tmp_path, "production", **fields)
    assert len(await brought(tmp_path, "dev", **fields)) == 1


def test_notices_are_signed_with_the_secret_that_both_ends_know() -> None:
    """Red when the process, which has no address of its own to ask, signs with the secret in its journal."""
    process = ProviderSettings(kind="sandbox", key_secret=Secret(SECRET))
    assert secrets_of(process) == (Secret(SECRET),)
    assert secrets_of(msgspec.structs.replace(process, base_address="http://127.0.0.1:1")) == (Secret(SECRET),)
    assert secrets_of(msgspec.structs.replace(process, webhook_secrets=(Secret("other"),))) == (Secret("other"),)
    assert secrets_of(ProviderSettings(kind="sandbox")) == ()


def test_every_answer_of_the_line_is_a_trouble_of_the_suite() -> None:
    assert set(ANSWERS) | set(TOKENS) | {"unreachable", "timeout"} == set(Trouble.__args__)  # type: ignore[attr-defined]
