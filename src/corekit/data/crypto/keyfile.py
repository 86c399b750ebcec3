"""The keyring of development: a file made once, never one per process, or rows were unreadable after a restart."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import msgspec

from corekit.data.crypto.keys import SIZE, to_text
from corekit.errors import ConfigError

NAME = "dev"  # its keys are called so, or `dev-…`; outside dev no key may be


class KeyFile(msgspec.Struct, frozen=True):
    """What the file holds, as JSON; keys are base64url."""

    active: str
    keys: dict[str, str]
    index: str


def read(path: Path) -> KeyFile:
    """Read the file, or make it.

    Raises:
        ConfigError: it is there and is no keyring, or the folder cannot be used.

    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _draft(path, KeyFile(NAME, {NAME: _new()}, _new())) as draft, suppress(FileExistsError):
                os.link(draft, path)  # the first of two processes wins
        return msgspec.json.decode(path.read_bytes(), type=KeyFile)
    except OSError as error:
        raise ConfigError(f"cannot use {path}: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise ConfigError(f"{path} is not a keyring; restore it from a backup, or what it encrypts is lost") from None


def add(path: Path) -> str:
    """Make a new active key; return its name. The others stay."""
    with _locked(path):
        file, name = read(path), f"{NAME}-{token_hex(4)}"
        _replace(path, KeyFile(name, file.keys | {name: _new()}, file.index))
    return name


def drop(path: Path, name: str) -> str:
    """Take an old key out; return it, so that it can be put back."""
    with _locked(path):
        file = read(path)
        _replace(path, KeyFile(file.active, {key: raw for key, raw in file.keys.items() if key != name}, file.index))
    return file.keys[name]


def put_back(path: Path, name: str, raw: str) -> None:
    """Undo `drop`."""
    with _locked(path):
        file = read(path)
        _replace(path, KeyFile(file.active, file.keys | {name: raw}, file.index))


def _new() -> str:
    return to_text(os.urandom(SIZE))


def _replace(path: Path, file: KeyFile) -> None:
    with _draft(path, file) as draft:
        os.replace(draft, path)  # noqa: PTH105  # beside os.link: one is atomic where nothing is, the other where a file is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the keys that are wrapped next must not outlive the name of this file
        finally:
            os.close(folder)


@contextmanager
def _draft(path: Path, file: KeyFile) -> Generator[Path]:
    draft = path.with_name(f"{path.name}.{token_hex(8)}")  # containers that share a folder share process ids too
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as out:
        out.write(msgspec.json.encode(file))
        out.flush()
        os.fsync(out.fileno())
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Keep other writers out: of two rotations at once, the later would lose the earlier one's key."""
    import fcntl  # noqa: PLC0415  # not on every system, and only whoever changes the file needs it

    while True:
        read(path)
        with path.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if path.stat().st_ino == os.fstat(held.fileno()).st_ino:  # not replaced while we waited
                yield
                return
