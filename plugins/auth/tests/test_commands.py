"""`corekit auth keys …` as an operator runs it."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import OctKey

from corekit.cli.main import cli
from corekit.cli.plugins import group
from corekit.errors import ConfigError, PluginError, SchemaError

Run = Callable[..., Result]
STATES = re.compile(r"^(\S+) +(ES256|RS256|HS256) +(\w+) +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands on an SQLite database of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COREKIT_KIT__PLUGINS", '["auth"]')
    runner = CliRunner()

    def call(*arguments: str, given: bytes | None = None) -> Result:
        return runner.invoke(cli, ["auth", "keys", *arguments], input=given)

    call.raw = lambda *arguments: runner.invoke(cli, arguments)  # type: ignore[attr-defined]
    return call


@pytest.fixture
def ready(run: Run) -> Run:
    """The same, with a schema."""
    assert run.raw("migrate", "up").exit_code == 0  # type: ignore[attr-defined]
    return run


def keys(run: Run) -> dict[str, tuple[str, str]]:
    """List the signing keys: algorithm and state by kid."""
    return {kid: (alg, state) for kid, alg, state in STATES.findall(run("list").stdout)}


def test_the_life_of_a_signing_key(ready: Run) -> None:
    made = ready("generate", "--alg", "RS256")
    first = made.stdout.split()[0]
    assert made.stdout == f"{first} is published and will sign next\n"
    assert keys(ready) == {first: ("RS256", "next")}
    assert ready("rotate").stdout == f"{first} signs from now on\n"  # nothing signed: nobody has to wait
    waits = ready("rotate").stdout
    assert re.fullmatch(r"\S+ is published; it may sign from \S+Z on: run this again then\n", waits)
    second = waits.split()[0]
    assert keys(ready) == {first: ("RS256", "signing"), second: ("ES256", "next")}
    assert ready("retire", first).stdout == f"{first} is retired\n"
    assert keys(ready) == {first: ("RS256", "retired"), second: ("ES256", "signing")}


def test_a_file_of_keys(ready: Run, tmp_path: Path) -> None:
    secret = OctKey.generate_key(256).as_dict(private=True)
    raw = msgspec.json.encode({"keys": [{**secret, "kid": "old"}]})
    (tmp_path / "jwks.json").write_bytes(raw)
    assert ready("import", "jwks.json").stdout == "old (HS256): verifying\n"
    assert ready("import", "-", given=raw).stdout == "old (HS256): verifying, was here already\n"
    assert secret["k"] not in ready("list").stdout
    refused = ready("import", "-", given=b'{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}')
    assert isinstance(refused.exception, ConfigError)
    assert str(refused.exception) == "keys[0].k: at least 32 bytes, in base64url"
    assert ready("import", "nowhere.json").exit_code == 2


def test_a_service_key_is_shown_once_and_alone(ready: Run) -> None:
    issued = ready("issue", "--role", "service_role", "--days", "30", "--name", "Reports")
    assert re.fullmatch(r"ck_svc_[0-9a-f]{32}_[\w-]{43}\n", issued.stdout)
    assert "shown this once" in issued.stderr
    assert issued.stdout.strip() not in issued.stderr
    id_ = issued.stderr.split()[2].rstrip(",")
    listed = ready("list").stdout
    assert re.search(rf"^{id_}  service_role  live +\S+Z +- +Reports$", listed, re.MULTILINE)
    assert issued.stdout.strip().rpartition("_")[2] not in listed
    assert ready("retire", id_).stdout == f"{id_} is revoked\n"
    assert re.search(rf"^{id_}  service_role  revoked ", ready("list").stdout, re.MULTILINE)
    for days in ("0", "-1", "3651", "x"):
        assert ready("issue", "--days", days).exit_code == 2
    assert str(ready("issue", "--role", "Admin!").exception).startswith("role: ")
    assert str(ready("retire", "nobody's").exception) == "there is no key nobody's"


def test_what_is_missing_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run("list").exception, SchemaError)
    monkeypatch.setenv("COREKIT_KIT__PLUGINS", "[]")
    assert str(run("list").exception) == "auth is not among the enabled plugins; add it to [kit] plugins"


@pytest.mark.parametrize("command", ["list", "generate", "import", "rotate", "retire", "issue"])
def test_each_command_says_what_it_does(run: Run, command: str, tmp_path: Path) -> None:
    told = run(command, "--help")
    assert told.exit_code == 0
    assert "--database" in told.stdout
    assert len(told.stdout.split("Options:")[0].split()) > 12
    assert not list(tmp_path.iterdir()), "asking for help makes nothing"


def test_plugins_bring_their_commands(run: Run) -> None:
    told = run.raw("--help").stdout  # type: ignore[attr-defined]
    assert "\n  auth  " in told
    assert "\n  chat  " not in told  # it has none
    assert group("chat") is None
    assert "No such command 'chat'" in run.raw("chat").output  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match="not installed"):
        group("nowhere")
