"""What a configuration consists of, described by itself: nothing is made, and no other server is reached."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from corekit.cli.main import cli

EVERYWHERE = """
kit = { plugins = ["auth", "realtime", "chat"], migrate = false, workers = 4 }
database = { url = "postgresql://nobody@127.0.0.1:1/nowhere" }
keyring = { active = "of-2026" }
web = { openapi = false }
redis = { url = "redis://127.0.0.1:1" }
realtime = { mode = "centrifugo", bus = "nats://127.0.0.1:1" }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(*arguments: str) -> dict[str, Any]:
    ran = CliRunner(catch_exceptions=False).invoke(cli, arguments)
    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_openapi_is_a_description_of_the_routes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREKIT_WEB__OPENAPI", "false")
    description = printed("openapi")
    assert description["openapi"].startswith("3.1")
    assert "/chat/v1/conversations" in description["paths"]
    assert not list(folder.iterdir()), "describing makes nothing"


def test_asyncapi_is_a_description_of_the_channels_and_methods(folder: Path) -> None:
    (folder / "corekit.toml").write_text(EVERYWHERE)
    description = printed("asyncapi", "--env", "prod")
    assert description["asyncapi"] == "3.0.0"
    assert {"conv", "eph", "user", "rpc.message.send"} < description["channels"].keys()
    assert [path.name for path in folder.iterdir()] == ["corekit.toml"], "describing needs and makes nothing"


def test_centrifugos_configuration_needs_nothing_else_either(folder: Path) -> None:
    (folder / "corekit.toml").write_text(EVERYWHERE)
    written = printed("realtime", "centrifugo-config", "--env", "prod")
    assert {one["name"] for one in written["channel"]["namespaces"]} == {"conv", "eph", "user"}
    assert [path.name for path in folder.iterdir()] == ["corekit.toml"]


@pytest.mark.parametrize("command", [("asyncapi",), ("realtime", "centrifugo-config")])
def test_without_realtime_there_is_nothing_to_describe(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREKIT_KIT__PLUGINS", '["auth"]')
    ran = CliRunner().invoke(cli, command)
    assert "nothing provides Realtime" in f"{ran.output} {ran.exception}"
    assert ran.exit_code != 0
