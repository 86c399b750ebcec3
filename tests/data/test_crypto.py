"""Encryption at rest: what is sealed opens only where it belongs, and keys outlive the process."""

import stat
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corekit import Secret
from corekit.data import Keyring
from corekit.data.crypto import KeyringSettings, keyfile
from corekit.errors import ConfigError, DecryptFailed
from corekit.testing import make_kit

RING = Keyring("k2", {"k1": b"1" * 32, "k2": b"2" * 32}, b"i" * 32)
PLACE = "auth_key.private.7"


def key(letter: str = "k") -> Secret:
    return Secret(urlsafe_b64encode(letter.encode() * 32).decode().rstrip("="))


@given(st.binary(max_size=300), st.text(max_size=30))
def test_what_is_sealed_opens_at_its_place(plain: bytes, place: str) -> None:
    sealed = RING.seal(plain, place)
    assert sealed.startswith("v1.k2.")
    assert sealed.isascii()
    assert RING.open(sealed, place) == plain


def test_the_same_text_is_never_sealed_alike() -> None:
    assert RING.seal(b"x", PLACE) != RING.seal(b"x", PLACE)


def test_a_moved_value_does_not_open() -> None:
    with pytest.raises(DecryptFailed):
        RING.open(RING.seal(b"hunter2", PLACE), "auth_key.private.8")


def test_an_old_key_still_opens() -> None:
    old = Keyring("k1", {"k1": b"1" * 32}, b"i" * 32).seal(b"hunter2", PLACE)
    assert RING.open(old, PLACE) == b"hunter2"


@pytest.mark.parametrize(
    "broken", ["", "v1", "v1.k2.x", "v1.k2.x.y", "v1.k2.é.é", "v2.k2.{}.{}", "v1.k3.{}.{}", "a.b.c.d.e"]
)
def test_what_was_changed_does_not_open_and_is_not_told(broken: str) -> None:
    _, _, nonce, text = RING.seal(b"hunter2", PLACE).split(".")
    with pytest.raises(DecryptFailed) as caught:
        RING.open(broken.format(nonce, text), PLACE)
    assert PLACE in str(caught.value)
    assert text not in str(caught.value)


@given(st.integers(0, 10_000))
def test_no_changed_character_opens(position: int) -> None:
    sealed = RING.seal(b"hunter2", PLACE)
    text = sealed.rpartition(".")[2]
    at = len(sealed) - len(text) + position % (len(text) - 1)  # the last one has bits that say nothing
    changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
    with pytest.raises(DecryptFailed):
        RING.open(changed, PLACE)


def test_macs_are_kept_apart_by_purpose() -> None:
    assert RING.mac("email", "a@example.com") == RING.mac("email", b"a@example.com")
    assert RING.mac("email", "a@example.com") != RING.mac("limits", "a@example.com")
    assert RING.mac("email", "a@example.com") != Keyring("k", {"k": b"1" * 32}, b"j" * 32).mac("email", "a@example.com")


def test_the_keyring_comes_from_the_settings(tmp_path: Path) -> None:
    settings = KeyringSettings(active="k1", keys={"k1": key()}, index=key("i"))
    ring = Keyring.load(settings, tmp_path, generate=True)
    assert ring.active == "k1"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (KeyringSettings(), "is required outside dev"),
        (KeyringSettings(active="k2", keys={"k1": key()}, index=key()), "active must name one of keys"),
        (KeyringSettings(active="k1", keys={"k1": key()}), "index must be set"),
        (KeyringSettings(active="k1", keys={"k1": Secret("short")}, index=key()), "key 'k1' must be 32 bytes"),
        (KeyringSettings(active="k1", keys={"k1": Secret("!")}, index=key()), "key 'k1' must be 32 bytes"),
        (KeyringSettings(active="k.1", keys={"k.1": key()}, index=key()), "key 'k.1': a name has only letters"),
    ],
)
def test_a_keyring_that_cannot_be_used(settings: KeyringSettings, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        Keyring.load(settings, tmp_path, generate=False)


def test_the_development_keyring_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    first = Keyring.load(KeyringSettings(), folder, generate=True)
    again = Keyring.load(KeyringSettings(), folder, generate=True)
    assert again.open(first.seal(b"x", PLACE), PLACE) == b"x"
    assert [path.name for path in folder.iterdir()] == ["keyring"]
    assert stat.S_IMODE((folder / "keyring").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{}", "not json"])
def test_a_broken_keyring_is_never_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "keyring").write_text(content)
    with pytest.raises(ConfigError, match="is not a keyring"):
        Keyring.load(KeyringSettings(), tmp_path, generate=True)
    assert (tmp_path / "keyring").read_text() == content


def test_a_folder_that_cannot_be_used_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .*keyring"):
        Keyring.load(KeyringSettings(), tmp_path / "file", generate=True)


MAKE = """
import sys, time
from pathlib import Path
from corekit.data import Keyring
from corekit.data.crypto import KeyringSettings, keyfile
while time.time() < float(sys.argv[2]):
    pass
print(Keyring.load(KeyringSettings(), Path(sys.argv[1]), generate=True).mac("x", "x").hex())
"""


def test_processes_that_make_it_at_once_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, str(tmp_path), str(time.time() + 1)]  # all begin at this moment
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    said = [racer.communicate()[0] for racer in racers]
    assert len(set(said)) == 1
    assert said[0]
    assert [path.name for path in tmp_path.iterdir()] == ["keyring"]


async def test_rows_stay_readable_over_a_restart(tmp_path: Path) -> None:
    async with make_kit(tmp_path=tmp_path) as kit:
        sealed = kit.keyring.seal(b"hunter2", PLACE)
    async with make_kit(tmp_path=tmp_path) as kit:
        assert kit.keyring.open(sealed, PLACE) == b"hunter2"


ADD = """
import sys, time
from pathlib import Path
from corekit.data.crypto import keyfile
while time.time() < float(sys.argv[2]):
    pass
print(keyfile.add(Path(sys.argv[1])))
"""


def test_processes_that_add_at_once_lose_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keyring"
    command = [sys.executable, "-c", ADD, str(file), str(time.time() + 1)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    added = {racer.communicate()[0].strip() for racer in racers}
    made = keyfile.read(file)
    assert made.keys.keys() == {"dev", *added}
    assert made.active in added
    assert len(added) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["keyring"]


def test_a_running_process_follows_the_file(tmp_path: Path) -> None:
    ring = Keyring.load(KeyringSettings(), tmp_path, generate=True)
    old = ring.seal(b"x", PLACE)
    new = keyfile.add(tmp_path / "keyring")
    elsewhere = Keyring.load(KeyringSettings(), tmp_path, generate=True).seal(b"y", PLACE)
    assert ring.open(elsewhere, PLACE) == b"y"
    assert ring.seal(b"z", PLACE).startswith(f"v1.{new}.")
    taken = keyfile.drop(tmp_path / "keyring", "dev")
    assert ring.names == {new}
    with pytest.raises(DecryptFailed, match="'dev', which the keyring does not have: put it back"):
        ring.open(old, PLACE)
    keyfile.put_back(tmp_path / "keyring", "dev", taken)
    assert ring.open(old, PLACE) == b"x"
    (tmp_path / "keyring").unlink()
    assert ring.open(elsewhere, PLACE) == b"y"


@given(st.emails())
def test_a_blind_index_finds_an_address_however_it_is_written(email: str) -> None:
    assert RING.index("email", f" {email.upper()} ") == RING.index("email", email.upper().lower())
    assert RING.index("email", email) != RING.index("phone", email)


def test_a_blind_index_finds_a_number_however_it_is_written() -> None:
    same = ("+919876543210", " +91 98765-43210", "+91 (98765) 43210", "+91 ９８７６５ 43210")
    assert len({RING.index("phone", number) for number in same}) == 1
    assert RING.index("phone", "+919876543211") != RING.index("phone", same[0])
    assert RING.index("phone", same[0]) != Keyring("k2", {"k2": b"2" * 32}, b"j" * 32).index("phone", same[0])
