"""Off by default, test keys unless production says otherwise, and no SDK before somebody wants it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe
from elsewhere import ElsewherePlugin  # in the payments tests

from corekit.context import Actor
from corekit.contracts.payments import Payments, ProviderSettings
from corekit.errors import ConfigError
from corekit.settings import Config, Secret
from corekit.testing import make_kit
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.live import demand_live_on_purpose
from corekit_payments.stripe.line import VERSION

TEST_KEY = Secret("sk_test_" + "0" * 24)


def live(kind: str) -> str:
    return f"{kind}_live_" + "0" * 24


async def started(folder: Path, env: str = "dev", **settings: Any) -> list[str]:
    """Start a kit, and name the methods that it offers."""
    plugins = [ElsewherePlugin(env), PaymentsPlugin(PaymentsSettings(sweep=False, **settings))]
    quiet = {"jobs": {"worker": False}}
    async with make_kit(plugins, tmp_path=folder, settings=quiet) as kit:
        payments = kit.get(Payments)
        async with kit.caller(Actor("alice")).begin(readonly=True) as ctx:
            return [f"{one.provider} {one.type}" for one in await payments.methods(ctx, "INR")]  # type: ignore[attr-defined]


def instances(**fields: Any) -> dict[str, ProviderSettings]:
    return {"cards": ProviderSettings(kind="stripe", **fields)}


async def test_it_is_off_unless_an_enabled_instance_names_it(tmp_path: Path) -> None:
    assert {one.partition(" ")[0] for one in await started(tmp_path)} == {"sandbox"}
    on = instances(key_secret=TEST_KEY)
    assert await started(tmp_path, providers=on) == ["cards card", "cards redirect"]
    assert await started(tmp_path, providers=instances(key_secret=TEST_KEY, enabled=False)) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, r"payments\.providers\.cards\] key_secret is missing"),
        ({"key_secret": Secret("pk_test_1")}, "no secret key"),
        ({"key_secret": TEST_KEY, "webhook_secrets": (Secret(""),)}, "webhook_secrets"),
        ({"key_secret": TEST_KEY, "base_address": "http://stripe.invalid"}, "https"),
    ],
)
async def test_what_it_needs(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        await started(tmp_path, providers=instances(**fields))


async def test_live_keys_stop_the_start(tmp_path: Path) -> None:
    key = live("sk")
    with pytest.raises(ConfigError, match=r"cards\] has a live key") as refused:
        await started(tmp_path, "production", providers=instances(key_secret=Secret(key)))
    assert key not in str(refused.value)


@pytest.mark.parametrize("env", ["dev", "production"])
@pytest.mark.parametrize("kind", ["sk", "rk", "pk", "rzp"])
def test_every_kind_of_live_key_is_seen(kind: str, env: str) -> None:
    for fields in ({"key_secret": Secret(live(kind))}, {"key_secret": TEST_KEY, "key_id": live(kind)}):
        with pytest.raises(ConfigError, match="live key"):
            demand_live_on_purpose(env, PaymentsSettings(providers=instances(**fields)))


async def test_live_is_for_production(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="production alone"):
        await started(tmp_path, live=True)
    on = instances(key_secret=Secret(live("sk")))
    assert await started(tmp_path, "production", live=True, providers=on) == ["cards card", "cards redirect"]


def test_the_secrets_come_from_a_file(tmp_path: Path) -> None:
    table = {"cards": {"kind": "stripe", "key_secret": TEST_KEY.reveal(), "webhook_secrets": ["whsec_1"]}}
    (tmp_path / "providers.json").write_text(json.dumps(table))
    environ = {"COREKIT_PAYMENTS__PROVIDERS_FILE": str(tmp_path / "providers.json")}
    config = Config.load(environ=environ)
    cards = config.table("payments", PaymentsSettings).providers["cards"]
    assert (cards.key_secret, cards.webhook_secrets) == (TEST_KEY, (Secret("whsec_1"),))
    shown = str(config.explain("payments", PaymentsSettings))
    assert TEST_KEY.reveal() not in shown
    assert "whsec_1" not in shown


def test_the_pinned_version_is_that_of_the_sdk() -> None:
    """Red when another SDK speaks another version: whether the adapter understands it is a decision."""
    assert stripe.api_version == VERSION


def test_without_the_extra_everything_else_works() -> None:
    """Red when the SDK is imported before an instance wants it."""
    told = """
import sys
sys.modules["stripe"] = None
import corekit_payments, corekit_payments.plugin
from corekit.context import Actor
from corekit.contracts.payments import ProviderSettings
from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit_payments.stripe import stripe_instance
try:
    stripe_instance(ProviderSettings(kind="stripe", name="cards", key_secret=Secret("sk_test_1")), None)
except ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert "corekit-payments[stripe]" in done.stdout
