"""Idempotent routes inside a host's application, seen from other origins, and in the API's description."""

import httpx
from idempotency_shop import GIFTS, SALES, as_
from litestar import Litestar
from litestar.config.compression import CompressionConfig

from corekit import Corekit
from corekit.testing import serve
from corekit.web import CorekitPlugin, create_app
from corekit.web.openapi import document

LONG = {"item": "tea" * 1000}


async def test_a_host_that_compresses_stores_plain_answers(kit: Corekit) -> None:
    """What the first client could decompress, the second might not."""
    config = CompressionConfig(backend="gzip")
    app = Litestar(plugins=[CorekitPlugin(kit, lifespan=False)], compression_config=config)
    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=as_("alice", "one"), timeout=30) as http:
        first = await http.post(SALES, json=LONG, headers={"Accept-Encoding": "gzip"})
        plain = await http.post(SALES, json=LONG, headers={"Accept-Encoding": "identity"})
        again = await http.post(SALES, json=LONG, headers={"Accept-Encoding": "gzip"})
        missing = await http.get("/nowhere")
    assert first.status_code == 201
    assert first.json()["item"] == LONG["item"]
    assert first.content == plain.content == again.content
    assert plain.headers["idempotent-replayed"] == again.headers["idempotent-replayed"] == "true"
    assert missing.status_code == 404


async def test_a_browser_elsewhere_may_send_keys_and_see_replays(kit: Corekit) -> None:
    kit.config.values["web"] = {"cors_origins": (["https://shop.example"], "a test")}
    origin = {"Origin": "https://shop.example"}
    asks = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    async with serve(create_app(kit, lifespan=False)) as url, httpx.AsyncClient(base_url=url, timeout=30) as http:
        preflight = await http.options(SALES, headers=asks)
        answer = await http.post(SALES, json={"item": "tea"}, headers=origin | as_("alice", "one"))
    assert preflight.status_code == 204
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
    assert "idempotent-replayed" in answer.headers["access-control-expose-headers"].lower()


async def test_the_description_asks_for_the_key(kit: Corekit) -> None:
    paths = document(create_app(kit, lifespan=False))["paths"]
    for path in (SALES, "/shop/v1/sales/{sale}/gifts"):
        (parameter,) = [one for one in paths[path]["post"]["parameters"] if one["in"] == "header"]
        assert (parameter["name"], parameter["required"]) == ("Idempotency-Key", True)
    assert GIFTS.startswith(SALES)
    assert not [one for one in paths["/shop/v1/unguarded"]["post"].get("parameters", []) if one["in"] == "header"]
