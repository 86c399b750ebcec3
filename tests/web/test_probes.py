"""Probes: `/live` is the process, `/ready` is whether traffic may come."""

from pathlib import Path

import httpx
import pytest

from corekit.data import DatabaseSettings
from corekit.testing import make_kit, serve
from corekit.watch import health


async def test_live_never_asks_and_ready_asks_everything(
    database: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH", 0.0)
    async with (
        make_kit(database=database, tmp_path=tmp_path) as kit,
        serve(kit) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        assert (await http.get("/live")).json() == {"status": "ok", "env": "dev"}
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ok", "checks": {"database": "ok", "lanes": "ok"}})
        with monkeypatch.context() as without:
            without.setattr(kit.database, "_engines", {})
            down = await http.get("/ready")
            assert down.status_code == 503
            assert down.json() == {"status": "down", "checks": {"database": "down", "lanes": "ok"}}
            assert (await http.get("/live")).status_code == 200
        assert (await http.get("/ready")).status_code == 200


async def test_who_drains_is_not_ready_but_alive(tmp_path: Path) -> None:
    async with (
        make_kit(tmp_path=tmp_path) as kit,
        serve(kit) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        await kit.drain(0)
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert (await http.get("/live")).status_code == 200


async def test_a_probe_ignores_tokens(tmp_path: Path) -> None:
    async with make_kit(tmp_path=tmp_path) as kit, serve(kit) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/ready", headers={"Authorization": "Bearer x"})).status_code == 200
