"""The example of a sender of one's own, against a server that answers as providers do."""

import asyncio
import importlib.util
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from corekit.contracts.delivery import Gone, Mail, MailSender, Outcome, Rejected, Retry, Sent, Throttled
from corekit.testing import free_port, make_kit

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_mail.py"
MAIL = Mail(to="ann@example.org", subject="Your code", text="It is 123456.")
SOON = timedelta(minutes=1)


class Provider:
    """Answers each request with `status`, and keeps the last one."""

    status, port, head = 202, 0, ""
    body: Any = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(self.head.partition("content-length: ")[2].partition("\r\n")[0])
        self.body = json.loads(await reader.readexactly(length))
        said = b'{"id": "m1"}'
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def provider() -> AsyncGenerator[Provider]:
    made = Provider()
    async with await asyncio.start_server(made.answer, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


async def send(port: int, folder: Path) -> Outcome:
    spec = importlib.util.spec_from_file_location("own_mail", EXAMPLE)
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    settings = {"own_mail": {"url": f"http://127.0.0.1:{port}/v1", "key": "k1"}, "jobs": {"worker": False}}
    async with make_kit([example.OwnMailPlugin()], tmp_path=folder, settings=settings) as kit:
        return await kit.get(MailSender).send(kit.caller(), MAIL)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (202, Sent("m1")),
        (410, Gone("410")),
        (429, Throttled(SOON)),
        (503, Retry(SOON, "503")),
        (422, Rejected("422")),
    ],
)
async def test_each_answer_has_its_outcome(provider: Provider, tmp_path: Path, status: int, outcome: Outcome) -> None:
    provider.status = status
    assert await send(provider.port, tmp_path) == outcome
    assert provider.head.startswith("post /v1/messages ")
    assert "authorization: bearer k1" in provider.head
    assert provider.body == {"to": MAIL.to, "subject": MAIL.subject, "text": MAIL.text, "html": ""}


async def test_a_provider_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    assert await send(free_port(), tmp_path) == Retry(SOON, "ConnectError")
