"""The request log: a line per answer, nothing personal in it, and nobody waits for who reads it."""

import asyncio
import io
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from web_site import SETTINGS, Site  # beside this file

from corekit.settings import Config
from corekit.testing import make_kit
from corekit.web import asgi
from corekit.web.access import Lines, RequestLog, logged

CANARY = "canary-4711"


async def ask(app: Any, method: str, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://corekit.test") as http:
        return await http.request(method, path, **options)


async def fine(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_a_line_says_who_did_what_and_nothing_that_was_sent(tmp_path: Path) -> None:
    said = io.StringIO()
    async with make_kit([Site()], tmp_path=tmp_path, settings=SETTINGS) as kit:
        log = RequestLog(asgi(kit), lines=Lines(said))
        headers = {"Authorization": f"Bearer {CANARY}", "User-Agent": CANARY}
        answer = await ask(log, "GET", f"/who?token={CANARY}", headers=headers)
        await ask(log, "GET", f"/nowhere/{CANARY}?code={CANARY}")
        await ask(log, "BREW", "/who")
        await ask(log, "GET", "/live")
        await asyncio.sleep(0)
    who, nowhere, brewed = [json.loads(line) for line in said.getvalue().splitlines()]
    assert who["request_id"] == answer.headers["X-Request-Id"]
    assert (who["event"], who["level"], who["method"], who["route"], who["status"]) == (
        "request",
        "info",
        "GET",
        "/who",
        200,
    )
    assert who["actor"].startswith("usr_")
    assert who["duration_ms"] > 0
    assert (nowhere["status"], "route" in nowhere, "actor" in nowhere) == (404, False, False)
    assert (brewed["method"], brewed["status"]) == ("OTHER", 405)
    assert CANARY not in said.getvalue()


@pytest.mark.parametrize("style", ["json", "text"])
async def test_what_fails_is_an_error(style: Any) -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError(CANARY)

    said = io.StringIO()
    await ask(RequestLog(broken, style=style, lines=Lines(said)), "POST", "/")
    await asyncio.sleep(0)
    text = said.getvalue()
    assert CANARY not in text
    if style == "text":
        assert "[error    ] request [corekit.requests] method=POST status=500 duration_ms=" in text
    else:
        assert (json.loads(text)["level"], json.loads(text)["status"]) == ("error", 500)


async def test_a_full_pipe_drops_whole_lines_and_the_next_line_says_how_many() -> None:
    """Red when `Lines` writes without asking whether the pipe takes it: then the test hangs, as a server would."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as writer:
        os.set_blocking(reading, False)
        lines = Lines(writer)
        log = RequestLog(fine, lines=lines)
        for _ in range(2_000):
            await ask(log, "GET", "/")
        await asyncio.sleep(0)
        taken = reader.read().splitlines()
        assert {json.loads(line)["event"] for line in taken} == {"request"}
        told = sum(json.loads(line).get("dropped", 0) for line in taken)
        assert len(taken) + told + lines.lost == 2_000
        assert lines.lost > 0
        untold = lines.lost
        await ask(log, "GET", "/")
        await asyncio.sleep(0)
        assert json.loads(reader.read())["dropped"] == untold


async def test_what_was_lost_is_told_whole_after_many_turns() -> None:
    """Red when a line that tells of lost ones, and is lost itself, takes their number with it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as writer:
        os.set_blocking(reading, False)
        log = RequestLog(fine, lines=Lines(writer))
        for _ in range(1_000):
            await ask(log, "GET", "/")
            await asyncio.sleep(0)
        read = len(reader.read().splitlines())
        await ask(log, "GET", "/")
        await asyncio.sleep(0)
        assert read + json.loads(reader.read())["dropped"] == 1_000


async def test_a_log_that_nobody_reads_any_more_costs_no_request() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as writer:
        log = RequestLog(fine, lines=Lines(writer))
        assert (await ask(log, "GET", "/")).status_code == 200
        await asyncio.sleep(0)
        assert (await ask(log, "GET", "/")).status_code == 200


@pytest.mark.parametrize(("table", "wanted"), [({}, True), ({"requests": False}, False), ({"level": "warning"}, False)])
def test_settings_turn_it_off(table: dict[str, Any], wanted: bool) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    config = Config.load(environ={}, overrides={"logs": table})
    assert isinstance(logged(config, app), RequestLog) is wanted
