"""`corekit keyring` as an operator runs it, and what a server says of a keyring that does not fit."""

import json
import os
import sqlite3
import stat
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from nursery import run_corekit  # beside this folder

from corekit.data import Keyring
from corekit.data.crypto import KeyringSettings
from corekit.testing import make_kit
from corekit_auth import AuthPlugin

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("COREKIT_")}


def key(letter: str) -> str:
    return urlsafe_b64encode(letter.encode() * 32).decode().rstrip("=")


def settings(active: str, **keys: str) -> dict[str, str]:
    return {
        "COREKIT_KEYRING__ACTIVE": active,
        "COREKIT_KEYRING__KEYS": json.dumps(keys),
        "COREKIT_KEYRING__INDEX": key("i"),
    }


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    done = run_corekit(folder, *arguments, env=CLEAN | {"COREKIT_KIT__PLUGINS": "[]"} | environment)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def table(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:]}


def wrap(folder: Path, ring: Keyring, subject: int) -> None:
    """Give somebody a key, as a server would."""
    id_ = subject.to_bytes(16, "big")
    wrapped = ring.seal(b"k" * 32, f"corekit_dek.wrapped.00000000-0000-0000-0000-{subject:012x}")
    with sqlite3.connect(folder / "var" / "corekit.db") as connection:
        connection.execute("INSERT INTO corekit_dek VALUES (?, ?, ?, 0)", (id_, wrapped, wrapped.split(".")[1]))
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(tmp_path, "migrate", "up")[0] == 0
    return tmp_path


def test_in_dev_a_new_key_is_made_and_the_old_one_can_go(folder: Path) -> None:
    file = folder / "var" / "keyring"
    wrap(folder, Keyring.load(KeyringSettings(), folder / "var", generate=True), 7)
    assert table(run(folder, "keyring", "status")[1]) == {"dev": ["1", "0", "active"]}
    code, said, _ = run(folder, "keyring", "rotate")
    assert code == 0
    assert "corekit_dek: 1\n" in said
    found = table(run(folder, "keyring", "status")[1])
    (new,) = found.keys() - {"dev"}
    assert found == {new: ["1", "0", "active"], "dev": ["0", "0", "old,", "removable"]}
    assert f"everything that opens is under {new}" in said
    assert json.loads(file.read_bytes())["keys"].keys() == {"dev", new}
    assert run(folder, "keyring", "drop", "dev")[0] == 0
    assert json.loads(file.read_bytes())["keys"].keys() == {new}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in file.parent.iterdir()} <= {
        "keyring",
        "corekit.db",
        "corekit.db-wal",
        "corekit.db-shm",
    }


def test_a_key_that_is_in_use_or_unknown_is_not_dropped(folder: Path) -> None:
    old = Keyring.load(KeyringSettings(), folder / "var", generate=True)
    assert run(folder, "keyring", "rotate")[0] == 0
    wrap(folder, Keyring("dev", {"dev": old._keys["dev"].raw}, b"i" * 32), 7)
    assert table(run(folder, "keyring", "status")[1])["dev"][:3] == ["1", "0", "old:"]
    code, _, error = run(folder, "keyring", "drop", "dev")
    assert (code, "1 keys and 0 values are under dev" in error) == (2, True)
    (active,) = Keyring.load(KeyringSettings(), folder / "var", generate=True).names - {"dev"}
    for name in (active, "nowhere"):
        code, _, error = run(folder, "keyring", "drop", name)
        assert (code, "is no old key of" in error) == (2, True)


def test_with_settings_rotate_brings_everything_under_the_active_one(folder: Path) -> None:
    prod = {"COREKIT_ENV": "prod"}
    wrap(folder, Keyring("k1", {"k1": b"1" * 32}, b"i" * 32), 7)
    wrap(folder, Keyring("k1", {"k1": b"1" * 32}, b"i" * 32), 0)
    both = prod | settings("k2", k1=key("1"), k2=key("2"))
    code, said, _ = run(folder, "keyring", "status", **both)
    assert (code, table(said)["k1"]) == (0, ["2", "0", "old:", "run", "`corekit", "keyring", "rotate`"])
    assert run(folder, "keyring", "drop", "k1", **both)[0] == 2
    assert run(folder, "keyring", "rotate", **both)[:2] == (0, "corekit_dek: 2\neverything that opens is under k2\n")
    alone = prod | settings("k2", k2=key("2"))
    assert table(run(folder, "keyring", "status", **alone)[1]) == {"k2": ["2", "0", "active"]}


def test_a_missing_key_is_named(folder: Path) -> None:
    wrap(folder, Keyring("k1", {"k1": b"1" * 32}, b"i" * 32), 7)
    code, said, error = run(folder, "keyring", "status", **settings("k2", k2=key("2")))
    assert code == 2
    assert table(said)["k1"] == ["1", "0", "missing:", "put", "it", "back"]
    assert "the keyring lacks k1" in error
    code, _, error = run(folder, "keyring", "rotate", **settings("k2", k2=key("2")))
    assert (code, "1 could not be opened and were left as they are" in error) == (2, True)


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["keyring", "status"]])
def test_production_takes_neither_no_keyring_nor_that_of_dev(command: list[str], folder: Path) -> None:
    run(folder, "keyring", "status")  # makes the file
    made = json.loads((folder / "var" / "keyring").read_bytes())["keys"]["dev"]
    for environment, text in (
        ({}, "[keyring] is required outside dev"),
        (settings("dev", dev=key("1")), "[keyring] key 'dev' is one of development"),
        (settings("k1", k1=key("1"), **{"dev-1": key("2")}), "[keyring] key 'dev-1' is one of development"),
        (settings("k1", k1=made), "[keyring] key 'k1' is one of development"),
    ):
        code, said, error = run(folder, *command, COREKIT_ENV="prod", **environment)
        assert (code, said) == (2, "")
        assert text in error
        assert made not in error


async def test_a_server_whose_key_was_removed_too_early_says_so(tmp_path: Path) -> None:
    ring = {"active": "k1", "keys": {"k1": key("1")}, "index": key("i")}
    async with make_kit([AuthPlugin()], tmp_path=tmp_path, settings={"keyring": ring}):
        pass
    code, _, error = run(
        tmp_path,
        *("serve", "--port", "0", "--data-dir", str(tmp_path)),
        COREKIT_KIT__PLUGINS='["auth"]',
        **settings("k2", k2=key("2")),
    )
    assert code == 2
    assert "is sealed by the key 'k1', which the keyring does not have: put it back" in error
